#include "decide/token/claims.hpp"

#include <fmt/format.h>

#include <cstring>
#include <span>

#include "base/ascii.hpp"
#include "decide/token/base64url.hpp"
#include "wire/json/canonical.hpp"
#include "wire/json/scanner.hpp"
#include "wire/json/string_text.hpp"

namespace steelyard::token {
namespace {

constexpr std::string_view hash_form = "hash:";

std::string_view view_of(std::span<const std::uint8_t> bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

bool read_text(const json::Object& object, const json::Member& member, std::string& out) {
  if (member.kind != json::Kind::string) return false;
  json::unescape(object.value(member), out);
  return !out.empty();
}

// `text` in base64url stands for as many bytes as `out` has.
bool read_bytes(std::string_view text, std::span<std::uint8_t> out) {
  const auto bytes = decode_base64url(text);
  if (!bytes || bytes->size() != out.size()) return false;
  std::memcpy(out.data(), bytes->data(), out.size());
  return true;
}

// Digits only: neither sign nor point nor exponent.
template <typename Number>
bool read_number(const json::Object& object, const json::Member& member, Number max, Number& out) {
  const auto value = member.kind == json::Kind::number ? parse_unsigned<Number>(object.value(member)) : std::nullopt;
  if (!value || *value > max) return false;
  out = *value;
  return true;
}

bool read_hash(const json::Object& object, const json::Member& member, TargetHash& out) {
  std::string text;
  return read_text(object, member, text) && text.starts_with(hash_form) && read_bytes(std::string_view(text).substr(hash_form.size()), out);
}

bool read_network(const json::Object& object, const json::Member& member, std::optional<Network>& out) {
  std::string text;
  if (!read_text(object, member, text)) return false;
  out = Network::parse(text);
  return out.has_value();
}

enum class Taken : std::uint8_t { yes, malformed, unknown };

Taken take(const json::Object& object, const json::Member& member, Claims& claims) {
  std::string name;
  json::unescape(object.name(member), name);
  const auto taken = [](bool well) { return well ? Taken::yes : Taken::malformed; };
  if (name == "aud") return taken(read_text(object, member, claims.server));
  if (name == "cdniuc") return taken(read_hash(object, member, claims.target_hash));
  if (name == "mth") return taken(read_text(object, member, claims.method));
  if (name == "net") return taken(read_network(object, member, claims.client));
  if (name == "iat") return taken(read_number(object, member, time_max_s, claims.issued_s));
  if (name == "exp") return taken(read_number(object, member, time_max_s, claims.expires_s));
  if (name == "hop") return taken(read_number(object, member, hops_possible, claims.hops));
  if (name == "prx") {
    claims.carried = member.kind == json::Kind::boolean && object.value(member) == "true";
    return taken(claims.carried);
  }
  if (name != "jti") return Taken::unknown;
  std::string id;
  return taken(read_text(object, member, id) && read_bytes(id, claims.id));
}

}  // namespace

std::string_view name_of(Reason reason) {
  switch (reason) {
    case Reason::malformed: return "malformed";
    case Reason::too_long: return "too_long";
    case Reason::repeated: return "repeated";
    case Reason::unsupported: return "unsupported";
    case Reason::unknown_key: return "unknown_key";
    case Reason::wrong_algorithm: return "wrong_algorithm";
    case Reason::bad_signature: return "bad_signature";
    case Reason::expired: return "expired";
    case Reason::not_yet_valid: return "not_yet_valid";
    case Reason::wrong_server: return "wrong_server";
    case Reason::wrong_method: return "wrong_method";
    case Reason::wrong_target: return "wrong_target";
    case Reason::wrong_client: return "wrong_client";
  }
  return "";
}

std::string to_json(const Claims& claims) {
  std::string json = "{\"aud\":";
  json::write_string(claims.server, json);
  json.append(",\"cdniuc\":\"").append(hash_form);
  append_base64url(view_of(claims.target_hash), json);
  json.append("\",\"mth\":");
  json::write_string(claims.method, json);
  if (claims.client) json.append(",\"net\":\"").append(claims.client->to_string()).push_back('"');
  fmt::format_to(std::back_inserter(json), ",\"iat\":{},\"exp\":{},\"jti\":\"", claims.issued_s, claims.expires_s);
  append_base64url(view_of(claims.id), json);
  json.push_back('"');
  if (claims.hops > 0) fmt::format_to(std::back_inserter(json), ",\"hop\":{}", claims.hops);
  if (claims.carried) json.append(",\"prx\":true");
  json.push_back('}');
  return json;
}

std::expected<Claims, Denied> parse_claims(std::string_view json) {
  json::ObjectScanner scanner({.depth_max = 4, .members_max = 16, .number_bytes_max = 20});
  const auto end = scanner.feed(json);
  if (!end || *end != json.size()) return deny(Reason::malformed, "the token's claims are not an object of strict JSON");
  const json::Object object = scanner.object(json);
  Claims claims;
  for (const json::Member& member : object.members) {
    switch (take(object, member, claims)) {
      case Taken::yes: break;
      case Taken::malformed: return deny(Reason::malformed, "a claim of the token is not of its form");
      case Taken::unknown: return deny(Reason::unsupported, "the token has a claim that is unknown here");
    }
  }
  for (const std::string_view required : {"aud", "cdniuc", "mth", "iat", "exp", "jti"}) {
    if (object.find(required) == nullptr) return deny(Reason::malformed, "a claim is missing in the token");
  }
  if (claims.expires_s <= claims.issued_s) return deny(Reason::malformed, "the token expires before it was issued");
  return claims;
}

}  // namespace steelyard::token
