// One key that signs tokens or checks their signatures: HMAC with SHA-256 or Ed25519, done by libcrypto. A key knows its algorithm, and
// no token changes that. An immutable value that threads may share; copies share what libcrypto holds.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <string_view>

struct evp_mac_ctx_st;
struct evp_pkey_st;

namespace steelyard::token {

enum class Algorithm : std::uint8_t { hs256, eddsa };
// As a token's header says it: "HS256" (RFC 7518 §3.2), "EdDSA" (RFC 8037 §3.1).
[[nodiscard]] std::string_view name_of(Algorithm algorithm);

class Key {
 public:
  static constexpr std::size_t id_bytes_max = 64;
  static constexpr std::size_t secret_bytes_min = 32;  // RFC 7518 §3.2
  static constexpr std::size_t secret_bytes_max = 1024;
  static constexpr std::size_t ed25519_bytes = 32;  // of a private key and of a public one (RFC 8032 §5.1.5)

  // What is wrong comes back as the end of a sentence: "has 3 bytes …". `id`: 1 to id_bytes_max characters of visible ASCII.
  static std::expected<Key, std::string> from_secret(std::string_view id, std::string_view secret);          // HS256
  static std::expected<Key, std::string> from_private(std::string_view id, std::string_view private_bytes);  // EdDSA, signs and checks
  static std::expected<Key, std::string> from_public(std::string_view id, std::string_view public_bytes);    // EdDSA, checks only

  [[nodiscard]] const std::string& id() const { return id_; }
  [[nodiscard]] Algorithm algorithm() const { return mac_ ? Algorithm::hs256 : Algorithm::eddsa; }
  [[nodiscard]] bool can_sign() const { return can_sign_; }
  // EdDSA: the public half. HS256 has none: "".
  [[nodiscard]] const std::string& public_bytes() const { return public_bytes_; }

  // The signature, 32 or 64 bytes; "" where the key cannot sign or there is no memory.
  [[nodiscard]] std::string sign(std::string_view text) const;
  // MACs are compared in constant time.
  [[nodiscard]] bool signed_by_this(std::string_view text, std::string_view signature) const;

 private:
  Key() = default;
  [[nodiscard]] std::string mac_of(std::string_view text) const;

  std::string id_;
  bool can_sign_ = false;
  std::string public_bytes_;
  std::shared_ptr<evp_mac_ctx_st> mac_;  // holds the secret; each use works on a copy
  std::shared_ptr<evp_pkey_st> pair_;
};

}  // namespace steelyard::token
