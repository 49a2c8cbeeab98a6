// Tokens and what they are made of: nobody without the key makes one, base64url and claims have one spelling, a key set is what it says
// it is, a header and claims that were signed are read as strictly as before, and a parameter can be put into a target and taken out.
#include <string>

#include "decide/token/base64url.hpp"
#include "decide/token/target.hpp"
#include "decide/token/token.hpp"
#include "fuzz.hpp"

namespace steelyard {
namespace {

using fuzz::demand;

const token::KeySet& keys() {
  static const token::KeySet set =
      token::KeySet::parse(R"({"keys": [{"kty": "oct", "kid": "a", "alg": "HS256", "k": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"}]})")
          .value();
  return set;
}

token::Claims claims() {
  return {.server = "app-1", .method = "GET", .target_hash = token::hash_of("/"), .issued_s = 100, .expires_s = 130, .id = {1}};
}

token::Expectation expected_by(const token::Claims& claims) {
  return {.server = claims.server, .method = claims.method, .target = "/", .client = {}, .now_s = claims.issued_s, .skew_s = 0};
}

std::string signed_token(std::string_view header, std::string_view payload) {
  std::string text = token::to_base64url(header) + "." + token::to_base64url(payload);
  return text + "." + token::to_base64url(keys().signer()->sign(text));
}

void check_token(std::string_view text) {
  const token::Claims wanted = claims();
  const auto read = token::verify(keys(), text, expected_by(wanted));
  demand(!read || token::mint(keys(), *read) == text, "only the key makes a token");
  demand(read || *read.error().sentence != '\0', "a denial has a sentence");
}

void check_base64url(std::string_view text) {
  const auto bytes = token::decode_base64url(text);
  demand(!bytes || token::to_base64url(*bytes) == text, "bytes have one spelling");
  demand(token::decode_base64url(token::to_base64url(text)) == text, "and what is written can be read");
}

void check_claims(std::string_view json) {
  const auto read = token::parse_claims(json);
  const std::string signed_text = signed_token(R"({"alg":"HS256","kid":"a","typ":"JWT"})", json);
  if (!read) {
    demand(!token::verify(keys(), signed_text, {}), "a signature does not make claims well-formed");
    return;
  }
  demand(!read->server.empty() && !read->method.empty() && read->issued_s >= 0 && read->issued_s < read->expires_s, "claims are whole");
  const auto again = token::parse_claims(token::to_json(*read));
  demand(again && *again == *read, "what is written is read as what it was");
  token::Expectation expected = expected_by(*read);
  expected.now_s = read->expires_s;
  demand(!token::verify(keys(), signed_text, expected), "nothing is valid when it has expired");
}

void check_header(std::string_view header) {
  const token::Claims wanted = claims();
  const auto read = token::verify(keys(), signed_token(header, token::to_json(wanted)), expected_by(wanted));
  demand(!read || *read == wanted, "claims are those that were signed");
  // Both of the key's, as they are or escaped.
  demand(!read || header.find("HS256") != std::string_view::npos || header.find("\\u") != std::string_view::npos,
         "a header names the key's algorithm");
}

void check_keys(std::string_view json) {
  const auto set = token::KeySet::parse(json);
  if (!set) {
    demand(!set.error().empty(), "a refusal has a sentence");
    return;
  }
  demand(!set->keys().empty() && set->keys().size() <= token::KeySet::keys_max, "a set has keys");
  for (const token::Key& key : set->keys()) {
    demand(set->find(key.id()) == &key, "each is found by its kid");
    demand(key.can_sign() == !key.sign("text").empty(), "a key that can sign does");
    demand(!key.can_sign() || key.signed_by_this("text", key.sign("text")), "and knows its signature");
  }
}

void check_target(std::string_view target) {
  const auto carried = token::take_parameter(target, "t");
  if (!carried) return;
  const auto rest = token::take_parameter(carried->target, "t");
  demand(rest && !rest->value && rest->target == carried->target, "a parameter that was taken is gone");
  demand(carried->value || carried->target == target, "a target without it stays as it is");
  demand(!carried->value || fuzz::lies_inside(*carried->value, target), "its value lies in the target");
  const std::string with = token::with_parameter(carried->target, "t", "v");
  const auto again = token::take_parameter(with, "t");
  demand(again && again->value == "v" && again->target == carried->target, "what is put in can be taken out");
}

}  // namespace
}  // namespace steelyard

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace steelyard;
  const std::string_view text = fuzz::view_of(bytes, size);
  check_token(text);
  check_base64url(text);
  check_claims(text);
  check_header(text);
  check_keys(text);
  check_target(text);
  return 0;
}
