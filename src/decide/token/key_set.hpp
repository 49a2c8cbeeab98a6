// The keys that sign and check tokens, as read from a file in JWK Set form (RFC 7517 §5). The first that can sign signs; all of them
// check, so that keys can be changed one after the other. Reading the file is for the caller. An immutable value that threads may share.
#pragma once

#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "decide/token/key.hpp"

namespace steelyard::token {

class KeySet {
 public:
  static constexpr std::size_t keys_max = 64;
  static constexpr std::size_t text_bytes_max = 64UZ * 1024;

  // {"keys": [{"kty": "oct", "kid": …, "alg": "HS256", "k": …}, {"kty": "OKP", "crv": "Ed25519", "kid": …, "x": …, "d": …}]}, where "d"
  // may be absent and "alg" too; other members of a key are passed over (RFC 7517 §4). One key at least; each kid once. The error says
  // what is wrong with the text, not which file it is from, and never what is secret: "key 2 (b): …".
  static std::expected<KeySet, std::string> parse(std::string_view json);

  [[nodiscard]] std::span<const Key> keys() const { return keys_; }
  // nullptr where there is none.
  [[nodiscard]] const Key* signer() const;
  [[nodiscard]] const Key* find(std::string_view id) const;

 private:
  std::vector<Key> keys_;
};

// One key as a JWK: HS256 with its `secret`; EdDSA with its private bytes as the `secret`, or without: the public half alone.
[[nodiscard]] std::string to_jwk(const Key& key, std::string_view secret = {});

}  // namespace steelyard::token
