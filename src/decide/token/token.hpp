// Signed tokens: compact JWS (RFC 7515 §3.1) over claims. A gateway mints one for each redirect, a guard verifies it. Pure: time, chance
// and keys are arguments. Whether a token was used before is not known here.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "decide/token/claims.hpp"
#include "decide/token/key_set.hpp"
#include "net/address.hpp"

namespace steelyard::token {

inline constexpr std::size_t token_bytes_max = 2048;

// Signed by the first key that can sign. The id must be random and new. "" where no key can sign, where the token would be longer than
// token_bytes_max, or where there is no memory.
[[nodiscard]] std::string mint(const KeySet& keys, const Claims& claims);

// What a token must allow.
struct Expectation {
  std::string_view server;
  std::string_view method;
  std::string_view target;  // what was bound when it was minted: path, or path and query (target.hpp)
  IpAddress client;
  std::int64_t now_s = 0;   // since 1970
  std::int64_t skew_s = 0;  // how far the clocks of both machines may differ
};

// The claims, where the token is whole, signed by a key of `keys` with that key's algorithm, valid now, and for just this. Nothing of the
// claims is looked at before the signature was found right.
[[nodiscard]] std::expected<Claims, Denied> verify(const KeySet& keys, std::string_view token, const Expectation& expected);

// A token's parts as they are, for showing; nothing is verified.
struct Parts {
  std::string header;  // decoded: JSON, as far as whoever made the token wrote such
  std::string claims;
  std::string signature;
  std::string_view signed_text;  // in the token
};
[[nodiscard]] std::expected<Parts, Denied> split(std::string_view token);

}  // namespace steelyard::token
