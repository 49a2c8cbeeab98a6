#include "decide/policy/demand.hpp"

#include <algorithm>

#include "base/ascii.hpp"
#include "wire/http/characters.hpp"
#include "wire/json/scanner.hpp"
#include "wire/json/string_text.hpp"

namespace steelyard::policy {
namespace {

Reading ambiguous(const char* reason) { return {Reading::Kind::ambiguous, {}, reason}; }

bool has_control(std::string_view text) {
  return std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

Reading found(std::string_view value) {
  if (value.empty()) return ambiguous("the request names its policy, but with an empty value");
  if (has_control(value)) return ambiguous("the request names its policy with a control character in it");
  return {Reading::Kind::found, value};
}

// What two places of a request say together.
Reading agreed(const Reading& first, const Reading& second) {
  if (first.kind == Reading::Kind::absent || second.kind == Reading::Kind::ambiguous) return second;
  if (first.kind == Reading::Kind::ambiguous || second.kind == Reading::Kind::absent || first.value == second.value) return first;
  return ambiguous("the request names two different policies: send one");
}

constexpr const char* doubtful_name = "the request names its policy in a spelling that not everybody reads alike: use the configured one";
constexpr const char* broken_escape = "the request has a broken percent-encoding where its policy may be";

// Some readers pass over blanks around names, and over the case of letters.
enum class Name : std::uint8_t { other, wanted, doubtful };
Name judge(std::string_view name, std::string_view wanted) {
  if (name == wanted) return Name::wanted;
  return equals_ignoring_case(trim(name), wanted) ? Name::doubtful : Name::other;
}

Reading read_field(const http::Fields& fields, std::string_view name) {
  // To servers that hand fields over as variables (RFC 3875 §4.1.18) both are the same character.
  const auto alike = [](char a, char b) { return to_lower(a) == to_lower(b) || (a == '_' && b == '-') || (a == '-' && b == '_'); };
  Reading reading;
  for (const http::Field& field : fields.all()) {
    if (equals_ignoring_case(field.name, name)) {
      reading = agreed(reading, found(trim(field.value)));
    } else if (std::ranges::equal(field.name, name, alike)) {
      return ambiguous(doubtful_name);
    }
  }
  return reading;
}

// One `name=value` of a cookie field. A name alone is one without a value to some readers.
Reading read_pair(std::string_view pair, std::string_view wanted) {
  const std::size_t equals = pair.find('=');
  switch (judge(pair.substr(0, equals), wanted)) {
    case Name::other: return {};
    case Name::doubtful: return ambiguous(doubtful_name);
    case Name::wanted: break;
  }
  std::string_view value = equals == std::string_view::npos ? std::string_view{} : trim(pair.substr(equals + 1));
  if (value.size() >= 2 && value.front() == '"' && value.back() == '"') value = value.substr(1, value.size() - 2);
  return found(value);
}

Reading read_cookie(const http::Fields& fields, std::string_view name) {
  Reading reading;
  for (const http::Field& field : fields.all()) {
    if (field.id != http::FieldName::cookie) continue;
    for (std::string_view rest = field.value; !rest.empty();) {
      const std::size_t end = std::min(rest.find(';'), rest.size());
      reading = agreed(reading, read_pair(trim(rest.substr(0, end)), name));
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }
  return reading;
}

enum class Plus : bool { plain, blank };  // what '+' stands for

// Appends. False where an escape is broken.
bool decode(std::string_view text, Plus plus, std::string& out) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += plus == Plus::blank && text[i] == '+' ? ' ' : text[i];
      continue;
    }
    const int high = i + 2 < text.size() ? http::hex_value(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? http::hex_value(text[i + 2]) : -1;
    if (high < 0 || low < 0) return false;
    out += static_cast<char>(high << 4 | low);
    i += 2;
  }
  return true;
}

// The text itself where nothing is encoded, else decoded at the end of `memory`, which must have room for it already.
std::string_view decoded_value(std::string_view text, Plus plus, std::string& memory, bool& broken) {
  if (text.find_first_of("%+") == std::string_view::npos) return text;
  const std::size_t begin = memory.size();
  broken = !decode(text, plus, memory);
  return std::string_view(memory).substr(begin);
}

// One `name=value` between ampersands. `name` is memory for its decoded name.
Reading read_parameter(std::string_view parameter, std::string_view wanted, std::string& name, std::string& memory) {
  const std::size_t equals = parameter.find('=');
  name.clear();
  // Even a name of which a part cannot be decoded is the wanted one to some: %u0070olicy.
  if (!decode(parameter.substr(0, equals), Plus::blank, name) || has_control(name)) return ambiguous(broken_escape);
  switch (judge(name, wanted)) {
    case Name::other: return {};
    case Name::doubtful: return ambiguous(doubtful_name);
    case Name::wanted: break;
  }
  bool broken = false;
  const std::string_view text = equals == std::string_view::npos ? std::string_view{} : parameter.substr(equals + 1);
  const std::string_view value = decoded_value(text, Plus::blank, memory, broken);
  return broken ? ambiguous(broken_escape) : found(value);
}

// Some readers take semicolons for separators, too: then what lies between them must not say anything of the policy.
Reading read_query(std::string_view query, std::string_view wanted, std::string& memory) {
  memory.reserve(memory.size() + 2 * query.size());
  std::string name;
  Reading reading;
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view parameter = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    Reading read = read_parameter(parameter, wanted, name, memory);
    std::size_t semicolon = parameter.find(';');
    if (read.kind == Reading::Kind::found && semicolon != std::string_view::npos) return ambiguous(doubtful_name);
    for (; semicolon != std::string_view::npos; semicolon = parameter.find(';', semicolon + 1)) {
      const std::string_view part = parameter.substr(semicolon + 1);
      if (read_parameter(part.substr(0, part.find(';')), wanted, name, memory).kind != Reading::Kind::absent)
        return ambiguous(doubtful_name);
    }
    reading = agreed(reading, read);
  }
  return reading;
}

// An empty one, which only the last can be, is none.
Reading read_segment(std::string_view path, std::uint32_t number, std::string& memory) {
  for (std::uint32_t i = 0; i < number; ++i) {
    const std::size_t slash = path.find('/');
    if (slash == std::string_view::npos) return {};
    path.remove_prefix(slash + 1);
  }
  const std::string_view segment = path.substr(0, path.find('/'));
  if (segment.empty()) return {};
  if (segment.find('%') == std::string_view::npos) return found(segment);
  memory.clear();
  return decode(segment, Plus::plain, memory) ? found(memory) : ambiguous(broken_escape);
}

// Brackets around an IPv6 address stay.
Reading read_host(std::string_view authority, std::string& memory) {
  const std::size_t behind_address = authority.rfind(']') == std::string_view::npos ? 0 : authority.rfind(']');
  std::string_view host = authority.substr(0, authority.find(':', behind_address));
  if (host.ends_with('.')) host.remove_suffix(1);
  if (host.empty()) return {};
  memory = to_lower(host);
  return found(memory);
}

}  // namespace

Reading read_head(const SourceOptions& from, const http::RequestHead& head, std::string_view path, std::string& memory) {
  memory.clear();
  switch (from.kind) {
    case SourceOptions::Kind::none:
    case SourceOptions::Kind::json: return {};
    case SourceOptions::Kind::header: return read_field(head.fields, from.name);
    case SourceOptions::Kind::cookie: return read_cookie(head.fields, from.name);
    case SourceOptions::Kind::query: return read_query(head.query, from.name, memory);
    case SourceOptions::Kind::segment: return read_segment(path, from.segment, memory);
    case SourceOptions::Kind::host: return read_host(head.authority, memory);
  }
  return {};
}

Reading read_json_body(std::string_view name, std::string_view body, std::string& memory) {
  if (body.empty()) return {};
  json::ObjectScanner scanner({.depth_max = 64, .members_max = 256, .number_bytes_max = 64});
  const auto end = scanner.feed(body);
  if (!end) return ambiguous("the request's body, which names its policy, is not an object of strict JSON");
  if (*end == 0) return ambiguous("the request's body, which names its policy, ends inside its JSON object");
  if (body.find_first_not_of(" \t\r\n", *end) != std::string_view::npos) {
    return ambiguous("the request's body, which names its policy, goes on behind its JSON object");
  }
  const json::Object object = scanner.object(body);
  const json::Member* wanted = nullptr;
  for (const json::Member& member : object.members) {
    memory.clear();
    json::unescape(object.name(member), memory);
    const Name judged = judge(memory, name);
    if (judged == Name::doubtful) return ambiguous(doubtful_name);
    if (judged == Name::wanted) wanted = &member;
  }
  if (wanted == nullptr) return {};
  const std::string_view value = object.value(*wanted);
  memory.clear();
  if (wanted->kind == json::Kind::string) {
    json::unescape(value, memory);
    return found(memory);
  }
  const bool whole = wanted->kind == json::Kind::number && value.find_first_of(".eE") == std::string_view::npos;
  return whole ? found(value) : ambiguous("the request's policy is neither a text nor a whole number");
}

}  // namespace steelyard::policy
