#include "decide/token/key_set.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/error.hpp"
#include "decide/token/base64url.hpp"
#include "wire/json/canonical.hpp"
#include "wire/json/scanner.hpp"
#include "wire/json/string_text.hpp"

namespace steelyard::token {
namespace {

constexpr std::string_view blanks = " \t\r\n";

// Nothing where the member is absent; members of another kind are an error.
std::expected<std::optional<std::string>, std::string> read_text(const json::Object& object, std::string_view name) {
  const json::Member* const member = object.find(name);
  if (member == nullptr) return std::nullopt;
  if (member->kind != json::Kind::string) return wrong(fmt::format("{} is not a text", name));
  std::string text;
  json::unescape(object.value(*member), text);
  return text;
}

std::expected<std::string, std::string> read_required(const json::Object& object, std::string_view name) {
  auto text = read_text(object, name);
  if (!text) return wrong(text.error());
  if (!*text) return wrong(fmt::format("{} is missing", name));
  return std::move(**text);
}

std::expected<std::string, std::string> read_bytes(const json::Object& object, std::string_view name) {
  const auto text = read_required(object, name);
  if (!text) return text;
  auto bytes = decode_base64url(*text);
  if (!bytes) return wrong(fmt::format("{} is not base64url (the characters A-Z a-z 0-9 - and _, without \"=\" at the end)", name));
  return std::move(*bytes);
}

std::expected<void, std::string> check_algorithm(const json::Object& object, Algorithm algorithm) {
  const auto text = read_text(object, "alg");
  if (!text) return wrong(text.error());
  if (*text && **text != name_of(algorithm)) return wrong(fmt::format("alg must be {} for a key of this kty", name_of(algorithm)));
  const auto use = read_text(object, "use");
  if (!use) return wrong(use.error());
  if (*use && **use != "sig") return wrong("use must be sig, or absent: the key is not for signatures");
  return {};
}

std::expected<Key, std::string> read_secret(const json::Object& object, const std::string& id) {
  if (const auto checked = check_algorithm(object, Algorithm::hs256); !checked) return wrong(checked.error());
  const auto secret = read_bytes(object, "k");
  return secret ? Key::from_secret(id, *secret) : wrong(secret.error());
}

std::expected<Key, std::string> read_pair(const json::Object& object, const std::string& id) {
  const auto curve = read_required(object, "crv");
  if (!curve) return wrong(curve.error());
  if (*curve != "Ed25519") return wrong("crv must be Ed25519");
  if (const auto checked = check_algorithm(object, Algorithm::eddsa); !checked) return wrong(checked.error());
  const auto public_bytes = read_bytes(object, "x");
  if (!public_bytes) return wrong(public_bytes.error());
  auto key = Key::from_public(id, *public_bytes);
  if (!key || object.find("d") == nullptr) return key;
  const auto private_bytes = read_bytes(object, "d");
  if (!private_bytes) return wrong(private_bytes.error());
  key = Key::from_private(id, *private_bytes);
  if (key && key->public_bytes() != *public_bytes) return wrong("x is not the public half of d");
  return key;
}

std::expected<Key, std::string> read_key(const json::Object& object) {
  const auto id = read_required(object, "kid");
  if (!id) return wrong(id.error());
  const auto type = read_required(object, "kty");
  if (!type) return wrong(type.error());
  if (*type == "oct") return read_secret(object, *id);
  if (*type == "OKP") return read_pair(object, *id);
  return wrong("kty must be oct (HS256) or OKP (Ed25519)");
}

// What the object of a JSON text is; what follows it are blanks.
std::expected<json::Object, std::string> scan_whole(json::ObjectScanner& scanner, std::string_view text) {
  if (text.size() > KeySet::text_bytes_max) return wrong(fmt::format("it has more than {} bytes", KeySet::text_bytes_max));
  if (text.starts_with("-----BEGIN")) return wrong("it is in PEM form: keys are wanted as a JWK Set (steelyard token keygen makes one)");
  const auto end = scanner.feed(text);
  if (!end) return wrong(fmt::format("it is not a JSON object, see byte {}: {}", end.error().offset + 1, end.error().reason));
  if (*end == 0) return wrong("it is not a JSON object: it ends too early");
  if (text.find_first_not_of(blanks, *end) != std::string_view::npos) return wrong("it goes on behind its JSON object");
  return scanner.object(text);
}

// "key 2 (b): …", so that it is found in the file.
std::string place_of(std::size_t number, const json::Object& object) {
  const auto id = read_text(object, "kid");
  if (!id || !*id) return fmt::format("key {}", number);
  std::string quoted;
  json::write_string(**id, quoted);
  return fmt::format("key {} ({})", number, quoted);
}

}  // namespace

std::expected<KeySet, std::string> KeySet::parse(std::string_view json) {
  json::ObjectScanner scanner;
  const auto whole = scan_whole(scanner, json);
  if (!whole) return wrong(whole.error());
  const json::Member* const list = whole->find("keys");
  if (list == nullptr && whole->find("kty") != nullptr) return wrong("it is a single key: write {\"keys\": [ and ]} around it");
  if (list == nullptr || list->kind != json::Kind::array) return wrong("it has no list \"keys\"");
  KeySet set;
  std::string_view rest = whole->value(*list).substr(1);  // the text is known to be JSON
  while (true) {
    rest.remove_prefix(rest.find_first_not_of(" \t\r\n,"));
    if (rest.front() == ']') break;
    const std::size_t number = set.keys_.size() + 1;
    if (number > keys_max) return wrong(fmt::format("it has more than {} keys", keys_max));
    json::ObjectScanner key_scanner;
    const auto end = key_scanner.feed(rest);
    if (!end) return wrong(fmt::format("key {}: {}", number, end.error().reason));
    const json::Object object = key_scanner.object(rest);
    auto key = read_key(object);
    if (!key) return wrong(fmt::format("{}: {}", place_of(number, object), key.error()));
    if (set.find(key->id()) != nullptr) return wrong(fmt::format("{}: another key has the same kid", place_of(number, object)));
    set.keys_.push_back(std::move(*key));
    rest.remove_prefix(*end);
  }
  if (set.keys_.empty()) return wrong("its list \"keys\" is empty");
  return set;
}

const Key* KeySet::signer() const {
  const auto found = std::ranges::find_if(keys_, &Key::can_sign);
  return found == keys_.end() ? nullptr : &*found;
}

const Key* KeySet::find(std::string_view id) const {
  const auto found = std::ranges::find(keys_, id, &Key::id);
  return found == keys_.end() ? nullptr : &*found;
}

std::string to_jwk(const Key& key, std::string_view secret) {
  std::string id;
  json::write_string(key.id(), id);
  if (key.algorithm() == Algorithm::hs256) {
    return fmt::format(R"({{"kty": "oct", "kid": {}, "alg": "HS256", "k": "{}"}})", id, to_base64url(secret));
  }
  const std::string half = secret.empty() ? "" : fmt::format(R"(, "d": "{}")", to_base64url(secret));
  return fmt::format(R"({{"kty": "OKP", "crv": "Ed25519", "kid": {}, "alg": "EdDSA", "x": "{}"{}}})", id, to_base64url(key.public_bytes()),
                     half);
}

}  // namespace steelyard::token
