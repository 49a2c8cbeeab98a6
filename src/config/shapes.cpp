// See shapes.hpp.
#include "config/shapes.hpp"

#include <algorithm>

#include "base/ascii.hpp"
#include "upstream/name_lookup.hpp"

namespace steelyard::config {

void BindAddress::read(const Node& node, SocketAddress& value, Reading& reading) const {
  if (!read_scalar(node, Quotes::allowed, words(), reading)) return;
  // ":8080", "*:8080" and 8080 are understood, and answered with the spelling that is meant.
  const std::size_t digits = node.text.starts_with("*:") ? 2 : node.text.starts_with(':') ? 1 : 0;
  const bool everywhere = node.text.size() > digits && node.text.find_first_not_of("0123456789", digits) == std::string::npos;
  const auto parsed = parse_host_port(everywhere ? "0.0.0.0:" + node.text.substr(digits) : node.text);
  if (!parsed) {
    reading.refuse(node, parsed.error(), words());
    return;
  }
  if (everywhere || !parsed->is_ip) {
    const std::string meant = everywhere ? "0.0.0.0" : parsed->host == "localhost" ? "127.0.0.1" : "0.0.0.0";
    const char* which = everywhere ? "every address" : parsed->host == "localhost" ? "this machine alone" : "every address";
    reading.refuse(node, fmt::format("has no IP address: write \"{}:{}\" to listen on {}", meant, parsed->port, which), words());
    return;
  }
  value = {*IpAddress::parse(parsed->host), parsed->port};
}

void AdminBind::read(const Node& node, AdminOptions& value, Reading& reading) const {
  if (node.kind != NodeKind::scalar || !node.text.starts_with(scheme)) {
    value.socket_path.clear();
    BindAddress{}.read(node, value.bind, reading);
    return;
  }
  const std::string path = node.text.substr(scheme.size());
  if (!path.starts_with('/')) {
    reading.refuse(node, "has no absolute path: write \"unix:/run/steelyard.sock\" or the path that is meant", words());
  } else if (path.size() > path_bytes_max) {
    reading.refuse(node, fmt::format("has a path of {} bytes, allowed are {}: choose a shorter one", path.size(), path_bytes_max), words());
  } else if (const auto wrong = check_file_path(path)) {
    reading.refuse(node, *wrong, words());
  } else {
    value.socket_path = path;
  }
}

void ClientText::read(const Node& node, ClientBinding& value, Reading& reading) const {
  if (!read_scalar(node, Quotes::allowed, words(), reading)) return;
  using Kind = ClientBinding::Kind;
  if (node.text == "exact" || node.text == "none") {
    value = {.kind = node.text == "exact" ? Kind::exact : Kind::none};
    return;
  }
  const auto bits = node.text.starts_with('/') ? parse_unsigned<unsigned>(std::string_view(node.text).substr(1)) : std::nullopt;
  if (!bits || *bits < bits_min || *bits > bits_max) {
    const std::string hint = bits && *bits == 32 ? R"(; "/32" is written exact)" : did_you_mean(node.text, {"exact", "none"});
    reading.problem(node, fmt::format("found {}, allowed is {}{}", found(node), words(), hint));
    return;
  }
  value = {.kind = Kind::prefix, .prefix_v4 = static_cast<std::uint8_t>(*bits)};
}

Json ClientText::write(const ClientBinding& value) const {
  if (value.kind == ClientBinding::Kind::prefix) return fmt::format("/{}", value.prefix_v4);
  return value.kind == ClientBinding::Kind::exact ? "exact" : "none";
}

std::string spell_server(const ServerOptions& server) {
  return is_service_name(server.host) ? server.host : spell_host_port(server.host, server.port);
}

void ServerAddress::read(const Node& node, ServerOptions& value, Reading& reading) const {
  if (!read_scalar(node, Quotes::allowed, words(), reading)) return;
  if (is_service_name(node.text)) {
    // Its records say the ports.
    const std::string_view host = std::string_view(node.text).substr(node.text.find('.', node.text.find('.') + 1) + 1);
    if (const auto of = parse_host(host); !of) return reading.refuse(node, of.error(), words());
    value.host = node.text;
    value.port = 0;
    return;
  }
  const auto parsed = parse_host_port(node.text);
  if (!parsed) {
    reading.refuse(node, parsed.error(), words());
    return;
  }
  value.host = parsed->host;
  value.port = parsed->port;
}

void check_servers(const Node& node, std::vector<ServerOptions>& servers, Reading& reading) {
  std::map<std::string, std::size_t> addresses;
  std::map<std::string, std::size_t> ids;
  for (std::size_t i = 0; i < servers.size() && i < node.items.size(); ++i) {
    ServerOptions& server = servers[i];
    if (server.host.empty() || (server.port == 0 && !is_service_name(server.host))) continue;
    const std::string address = spell_server(server);
    if (server.id.empty()) server.id = address;
    const Reading::Step step(reading, i);
    if (const auto [first, inserted] = addresses.emplace(address, i); !inserted) {
      reading.problem(
          node.items[i],
          fmt::format("found the server {} a second time, allowed is once in a pool: the first is in line {}; give one of them more "
                      "weight instead",
                      address, node.items[first->second].line));
    } else if (const auto [same, fresh] = ids.emplace(server.id, i); !fresh) {
      reading.problem(node.items[i],
                      fmt::format("found the id {} a second time, allowed is once in a pool: the first is in line {}; choose another",
                                  quote(server.id), node.items[same->second].line));
    }
  }
}

void TrustedNetwork::read(const Node& node, Network& value, Reading& reading) const {
  if (!read_scalar(node, Quotes::allowed, words(), reading)) return;
  const auto network = Network::parse(node.text);
  if (!network) {
    const std::string_view base = std::string_view(node.text).substr(0, node.text.find('/'));
    const char* which = IpAddress::parse(base) && base.size() < node.text.size() ? "has a prefix that is too long or bits set beyond it"
                                                                                 : "is not a network";
    reading.refuse(node, which, words());
    return;
  }
  value = *network;
}

namespace {

bool few_enough(const Node& node, Reading& reading) {
  constexpr std::size_t entries_max = 100;
  if (node.entries.size() <= entries_max) return true;
  reading.problem(node, fmt::format("found {} entries, allowed are at most {}", node.entries.size(), entries_max));
  return false;
}

// Reads a map of names to texts, handing each pair that is right to `take`.
template <typename Names, typename ValueType, typename Take>
void read_pairs(const Node& node, const std::string& words, Names check_key, const ValueType& type, Reading& reading, Take take) {
  if (node.kind != NodeKind::map) {
    reading.problem(node, fmt::format("found {}, allowed is {}", found(node), words));
    return;
  }
  if (!few_enough(node, reading)) return;
  for (const Entry& entry : node.entries) {
    const Reading::Step step(reading, entry.key.text);
    if (const auto wrong = check_key(entry.key.text)) {
      reading.problem(entry.key, fmt::format("found the name {}, which {}", quote(entry.key.text), *wrong));
      continue;
    }
    std::string value;
    const std::size_t before = reading.problem_count();
    type.read(entry.value, value, reading);
    if (reading.problem_count() == before) take(entry, std::move(value));
  }
}

// Field names are compared without case (RFC 9110 §5.1), which the check for duplicate keys does not know.
template <typename Fields>
bool add_field(Fields& fields, const Entry& entry, std::string value, Reading& reading) {
  const bool repeated = std::ranges::any_of(fields, [&](const auto& field) { return equals_ignoring_case(field.name, entry.key.text); });
  if (repeated) {
    reading.problem(entry.key,
                    fmt::format("found the field {} a second time in other letters: case does not count in field names; remove one",
                                quote(entry.key.text)));
    return false;
  }
  fields.push_back({entry.key.text, std::move(value)});
  return true;
}

}  // namespace

void MatchText::read(const Node& node, std::string& value, Reading& reading) const {
  if (!read_scalar(node, Quotes::allowed, words(), reading)) return;
  if (const auto wrong = problem(node.text)) {
    reading.problem(node, fmt::format("{}; allowed is {}", *wrong, words()));
    return;
  }
  value = node.text;
}

namespace {

// A text, or a list that becomes one with commas.
struct LabelText {
  Text text{"a text", check_label_value};
  Text item{"a text without a comma", check_policy_value};

  void read(const Node& node, std::string& value, Reading& reading) const {
    if (node.kind != NodeKind::list) return text.read(node, value, reading);
    if (node.items.empty()) return reading.problem(node, "found an empty list, allowed is a text or a list of texts");
    for (std::size_t i = 0; i < node.items.size(); ++i) {
      const Reading::Step step(reading, i);
      std::string part;
      item.read(node.items[i], part, reading);
      value += (i == 0 ? "" : ",") + part;
    }
    if (const auto wrong = check_label_value(value)) reading.problem(node, fmt::format("found a list that {} with its commas", *wrong));
  }
};

}  // namespace

void Labels::read(const Node& node, Value& value, Reading& reading) const {
  read_pairs(node, words(), check_name, LabelText{}, reading,
             [&](const Entry& entry, std::string text) { value[entry.key.text] = std::move(text); });
}

Json Labels::schema() const {
  const Json text{{"type", {"string", "number", "boolean"}}};
  return {{"type", "object"}, {"additionalProperties", {{"anyOf", {text, {{"type", "array"}, {"items", text}}}}}}};
}

Json Labels::write(const Value& value) const {
  Json map = Json::object();
  for (const auto& [name, text] : value) map[name] = text;
  return map;
}

void HeaderMatches::read(const Node& node, Value& value, Reading& reading) const {
  read_pairs(node, words(), check_field_name, Text{"a text", check_field_value}, reading,
             [&](const Entry& entry, std::string text) { add_field(value, entry, std::move(text), reading); });
}

Json HeaderMatches::write(const Value& value) const {
  Json map = Json::object();
  for (const HeaderMatch& match : value) map[match.name] = match.value;
  return map;
}

void HeaderFields::read(const Node& node, Value& value, Reading& reading) const {
  if (node.kind != NodeKind::map) {
    reading.problem(node, fmt::format("found {}, allowed is {}", found(node), words()));
    return;
  }
  if (!few_enough(node, reading)) return;
  for (const Entry& entry : node.entries) {
    const Reading::Step step(reading, entry.key.text);
    if (const auto wrong = check_edited_name(entry.key.text, side)) {
      reading.problem(entry.key, fmt::format("found the field {}, which {}", quote(entry.key.text), *wrong));
      continue;
    }
    std::vector<std::string> texts;
    const List<Text> list{{"a text", check_field_value}, "a text or a list of texts", Single::allowed};
    if (repeated == Single::allowed) {
      NonEmpty<List<Text>>{list}.read(entry.value, texts, reading);
    } else {
      list.inner.read(entry.value, texts.emplace_back(), reading);
    }
    bool first = true;
    for (std::string& text : texts) {
      if (first && !add_field(value, entry, std::move(text), reading)) break;
      if (!first) value.push_back({entry.key.text, std::move(text)});
      first = false;
    }
  }
}

Json HeaderFields::write(const Value& value) const {
  Json map = Json::object();
  for (const HeaderField& field : value) {
    if (!map.contains(field.name)) {
      map[field.name] = field.value;
    } else if (map[field.name].is_array()) {
      map[field.name].push_back(field.value);
    } else {
      map[field.name] = Json::array({map[field.name], field.value});
    }
  }
  return map;
}

Json HeaderFields::schema() const {
  const Json text{{"type", {"string", "number", "boolean"}}};
  const Json list{{"type", "array"}, {"items", text}, {"minItems", 1}};
  const Json value = repeated == Single::allowed ? Json{{"anyOf", {text, list}}} : text;
  return {{"type", "object"}, {"additionalProperties", value}};
}

std::string HeaderFields::words() const {
  return repeated == Single::allowed ? "a map of field names to a value or a list of values" : "a map of field names to values";
}

void refuse_map(const Node& node, const std::string& described, const std::string& example, Reading& reading) {
  reading.problem(node, fmt::format("found {}, allowed is {}: \"{}\"", found(node), described, example));
}

void check_entry_name(const Entry& entry, Reading& reading) {
  if (const auto wrong = check_name(entry.key.text)) {
    reading.problem(entry.key, fmt::format("found the name {}, which {}; allowed are up to 64 letters, digits and . _ -",
                                           quote(entry.key.text), *wrong));
  }
}

void RouteHost::read(const Node& node, std::string& value, Reading& reading) const {
  Text{words(), check_route_host}.read(node, value, reading);
  if (value == "client") value.clear();
}

}  // namespace steelyard::config
