// What a token says, and why one is denied. Values; claims.cpp has their text: a JSON object with claims after RFC 9246 and RFC 7519,
// each of them once and no others.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "net/address.hpp"

namespace steelyard::token {

using TargetHash = std::array<std::uint8_t, 32>;  // SHA-256
using Id = std::array<std::uint8_t, 16>;

inline constexpr std::int64_t time_max_s = (std::int64_t{1} << 53) - 1;  // what every JSON reader reads alike (RFC 7493 §2.2)
inline constexpr unsigned hops_possible = 255;

// One client (or whoever has an address of that network) may send one request to one server until it expires.
struct Claims {
  std::string server{};             // "aud": its id
  std::string method{};             // "mth"
  TargetHash target_hash{};         // "cdniuc": "hash:" and base64url; see target.hpp for what is hashed
  std::optional<Network> client{};  // "net"; absent: any client
  std::int64_t issued_s = 0;        // "iat", since 1970
  std::int64_t expires_s = 0;       // "exp": not valid from then on
  Id id{};                          // "jti": random
  unsigned hops = 0;                // "hop": how often guards sent the request back; absent: 0
  bool carried = false;             // "prx": the gateway brings the request itself, and counts it as its own; absent: false
  friend bool operator==(const Claims&, const Claims&) = default;
};

enum class Reason : std::uint8_t {
  malformed,  // not a token, or not of this form
  too_long,
  repeated,     // the request carries more than one
  unsupported,  // it demands what is not understood here
  unknown_key,
  wrong_algorithm,  // not that of its key
  bad_signature,
  expired,
  not_yet_valid,
  wrong_server,
  wrong_method,
  wrong_target,
  wrong_client,
};
// One word for logs, metrics and scripts: "bad_signature".
[[nodiscard]] std::string_view name_of(Reason reason);

struct Denied {
  Reason reason = Reason::malformed;
  const char* sentence = "";  // for whoever sent the request; static, without a full stop
};

inline std::unexpected<Denied> deny(Reason reason, const char* sentence) { return std::unexpected(Denied{reason, sentence}); }

// Without blanks, in the order of Claims. The texts must be UTF-8.
[[nodiscard]] std::string to_json(const Claims& claims);
// Strict: claims that are unknown here are denied, because they may narrow what the token allows (RFC 7519 §4 leaves that to the
// application), and so are numbers that are not whole and a lifetime that is not positive.
[[nodiscard]] std::expected<Claims, Denied> parse_claims(std::string_view json);

}  // namespace steelyard::token
