#include "decide/token/token.hpp"

#include <algorithm>

#include "decide/token/base64url.hpp"
#include "decide/token/target.hpp"
#include "wire/json/canonical.hpp"
#include "wire/json/scanner.hpp"
#include "wire/json/string_text.hpp"

namespace steelyard::token {
namespace {

std::string header_of(const Key& key) {
  std::string header = "{\"alg\":\"";
  header.append(name_of(key.algorithm())).append("\",\"kid\":");
  json::write_string(key.id(), header);
  return header.append(",\"typ\":\"JWT\"}");
}

bool says(const json::Object& object, std::string_view name, std::string_view text) {
  const json::Member* const member = object.find(name);
  return member != nullptr && member->kind == json::Kind::string && json::says(object.value(*member), text);
}

// The key that a header names, where it is one of `keys` and the header is one of ours (RFC 8725 §3.1, §3.11).
std::expected<const Key*, Denied> read_header(const KeySet& keys, std::string_view header) {
  json::ObjectScanner scanner({.depth_max = 4, .members_max = 16, .number_bytes_max = 20});
  const auto end = scanner.feed(header);
  if (!end || *end != header.size()) return deny(Reason::malformed, "the token's header is not an object of strict JSON");
  const json::Object object = scanner.object(header);
  // RFC 7515 §4.1.11: whoever does not understand what it names must refuse; here nothing is.
  if (object.find("crit") != nullptr)
    return deny(Reason::unsupported, "the token's header demands an extension (crit) that is unknown here");
  if (!says(object, "typ", "JWT")) return deny(Reason::malformed, "the token's header does not say typ JWT");
  const json::Member* const id = object.find("kid");
  if (id == nullptr || id->kind != json::Kind::string) return deny(Reason::malformed, "the token does not name its key (kid)");
  const auto key = std::ranges::find_if(keys.keys(), [&](const Key& each) { return json::says(object.value(*id), each.id()); });
  if (key == keys.keys().end()) return deny(Reason::unknown_key, "the token's key is unknown here");
  if (!says(object, "alg", name_of(key->algorithm()))) return deny(Reason::wrong_algorithm, "the token's algorithm is not that of its key");
  return &*key;
}

std::expected<void, Denied> check(const Claims& claims, const Expectation& expected) {
  if (claims.issued_s > expected.now_s + expected.skew_s) return deny(Reason::not_yet_valid, "the token is not yet valid");
  if (claims.expires_s <= expected.now_s - expected.skew_s) return deny(Reason::expired, "the token has expired");
  if (claims.server != expected.server) return deny(Reason::wrong_server, "the token is for another server");
  if (claims.method != expected.method) return deny(Reason::wrong_method, "the token is for another method");
  if (claims.target_hash != hash_of(expected.target)) return deny(Reason::wrong_target, "the token is for another path or query");
  if (claims.client && !claims.client->contains(expected.client)) return deny(Reason::wrong_client, "the token is for another client");
  return {};
}

}  // namespace

std::string mint(const KeySet& keys, const Claims& claims) {
  const Key* const key = keys.signer();
  if (key == nullptr) return {};
  std::string token;
  token.reserve(512);
  append_base64url(header_of(*key), token);
  token.push_back('.');
  append_base64url(to_json(claims), token);
  const std::string signature = key->sign(token);
  if (signature.empty()) return {};
  token.push_back('.');
  append_base64url(signature, token);
  return token.size() <= token_bytes_max ? token : std::string();
}

std::expected<Parts, Denied> split(std::string_view token) {
  if (token.size() > token_bytes_max) return deny(Reason::too_long, "the token is too long");
  const std::size_t first = token.find('.');
  const std::size_t second = first == std::string_view::npos ? first : token.find('.', first + 1);
  if (second == std::string_view::npos) return deny(Reason::malformed, "the token does not have three parts");
  auto header = decode_base64url(token.substr(0, first));
  auto claims = decode_base64url(token.substr(first + 1, second - first - 1));
  auto signature = decode_base64url(token.substr(second + 1));  // which refuses a third '.'
  if (!header || !claims || !signature) return deny(Reason::malformed, "a part of the token is not base64url without padding");
  return Parts{std::move(*header), std::move(*claims), std::move(*signature), token.substr(0, second)};
}

std::expected<Claims, Denied> verify(const KeySet& keys, std::string_view token, const Expectation& expected) {
  const auto parts = split(token);
  if (!parts) return std::unexpected(parts.error());
  const auto key = read_header(keys, parts->header);
  if (!key) return std::unexpected(key.error());
  if (!(*key)->signed_by_this(parts->signed_text, parts->signature)) return deny(Reason::bad_signature, "the token's signature is wrong");
  auto claims = parse_claims(parts->claims);
  if (!claims) return claims;
  if (const auto checked = check(*claims, expected); !checked) return std::unexpected(checked.error());
  return claims;
}

}  // namespace steelyard::token
