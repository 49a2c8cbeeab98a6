// The types that only this configuration has: addresses of listeners and servers, networks, header fields, labels, pools by
// name. The general ones are in types.hpp.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "config/options.hpp"
#include "config/section.hpp"
#include "config/texts.hpp"

namespace steelyard::config {

// What must not be empty when it is there, and is not written when it is empty.
template <typename Inner>
struct NonEmpty {
  using Value = typename Inner::Value;
  Inner inner;

  void read(const Node& node, Value& value, Reading& reading) const {
    const bool list = node.kind == NodeKind::list && node.items.empty();
    const bool map = node.kind == NodeKind::map && node.entries.empty();
    if (list || map) {
      reading.problem(node, fmt::format("found an empty {}, allowed is {}", list ? "list" : "map", words()));
      return;
    }
    inner.read(node, value, reading);
  }
  Json write(const Value& value) const { return value.empty() ? Json(nullptr) : inner.write(value); }
  Json schema() const { return inner.schema(); }
  std::string words() const { return inner.words(); }
};

// Where a listener listens: an IP address and a port.
struct BindAddress {
  using Value = SocketAddress;
  void read(const Node& node, SocketAddress& value, Reading& reading) const;
  Json write(const SocketAddress& value) const { return value.to_string(); }
  Json schema() const { return {{"type", "string"}}; }
  std::string words() const { return R"(an IP address and a port such as "0.0.0.0:8080" or "[::1]:8080")"; }
};

// Where the admin API listens: an IP address and a port, or the path of a Unix socket.
struct AdminBind {
  using Value = AdminOptions;
  static constexpr std::string_view scheme = "unix:";
  static constexpr std::size_t path_bytes_max = 107;  // what fits into a sockaddr_un with its NUL

  void read(const Node& node, AdminOptions& value, Reading& reading) const;
  Json write(const AdminOptions& value) const {
    return value.on_socket() ? std::string(scheme) + value.socket_path : value.bind.to_string();
  }
  Json schema() const { return {{"type", "string"}}; }
  std::string words() const { return R"(an IP address and a port such as "127.0.0.1:9900", or a path such as "unix:/run/steelyard.sock")"; }
};

// The name of a service stands alone: its records say the ports.
[[nodiscard]] std::string spell_server(const ServerOptions& server);

inline Text public_url() { return {R"(a URL without a path such as "https://a.example.com:8443")", check_public_url}; }

// Whom a redirect's token is for: "/24" is the client's network by the first 24 bits of an IPv4 address.
struct ClientText {
  using Value = ClientBinding;
  static constexpr unsigned bits_min = 8;
  static constexpr unsigned bits_max = 31;
  void read(const Node& node, ClientBinding& value, Reading& reading) const;
  Json write(const ClientBinding& value) const;
  Json schema() const { return text_schema("^(exact|none|/[0-9]{1,2})$"); }
  std::string words() const { return R"(exact, none, or a prefix from "/8" to "/31")"; }
};

// Where a server is: an IP address or a name, and a port; or the name of a service (RFC 2782).
struct ServerAddress {
  using Value = ServerOptions;
  void read(const Node& node, ServerOptions& value, Reading& reading) const;
  Json write(const ServerOptions& value) const { return spell_server(value); }
  Json schema() const { return {{"type", "string"}}; }
  std::string words() const { return R"(host:port such as "10.0.0.5:8001" or "app.internal:8001")"; }
};

// A map, or the value of one of its keys alone: a server's address.
template <typename Struct>
struct OrAlone {
  using Value = Struct;
  Section<Struct> inner;
  std::string key;

  void read(const Node& node, Struct& value, Reading& reading) const {
    if (node.kind == NodeKind::scalar) {
      inner.find(key)->slot->read(node, value, reading);
    } else {
      inner.read(node, value, reading);
    }
  }
  Json write(const Struct& value) const { return inner.write(value); }
  Json schema() const { return {{"anyOf", {inner.find(key)->slot->schema(), inner.schema()}}}; }
  std::string words() const { return inner.words(); }
};

// Fills in the id that a server has by default; reports servers that a pool has twice. `node` is the list.
void check_servers(const Node& node, std::vector<ServerOptions>& servers, Reading& reading);

struct TrustedNetwork {
  using Value = Network;
  void read(const Node& node, Network& value, Reading& reading) const;
  Json write(const Network& value) const { return value.to_string(); }
  Json schema() const { return {{"type", "string"}}; }
  std::string words() const { return R"(a network such as "10.0.0.0/8" or one IP address)"; }
};

// A part of a match; the router itself says what is wrong with it.
struct MatchText {
  using Value = std::string;
  std::string described;
  std::optional<std::string> (*problem)(std::string_view text);

  void read(const Node& node, std::string& value, Reading& reading) const;
  Json write(const std::string& value) const { return value; }
  Json schema() const { return {{"type", "string"}}; }
  std::string words() const { return described; }
};

// A list of texts is one text with commas between them.
struct Labels {
  using Value = std::map<std::string, std::string>;
  void read(const Node& node, Value& value, Reading& reading) const;
  Json write(const Value& value) const;
  Json schema() const;
  std::string words() const { return "a map of names to texts"; }
};

// The fields that a request must have.
struct HeaderMatches {
  using Value = std::vector<HeaderMatch>;
  void read(const Node& node, Value& value, Reading& reading) const;
  Json write(const Value& value) const;
  Json schema() const { return {{"type", "object"}, {"additionalProperties", {{"type", {"string", "number", "boolean"}}}}}; }
  std::string words() const { return R"(a map of field names to values; the value "" asks only that the field is there)"; }
};

// Fields to set or to add: a map of names to values, to a list of values where `repeated` allows it.
struct HeaderFields {
  using Value = std::vector<HeaderField>;
  EditedSide side;
  Single repeated;  // `allowed`: one value or a list of them

  void read(const Node& node, Value& value, Reading& reading) const;
  Json write(const Value& value) const;
  Json schema() const;
  std::string words() const;
};

void refuse_map(const Node& node, const std::string& described, const std::string& example, Reading& reading);
void check_entry_name(const Entry& entry, Reading& reading);

// A map of what has a name of its own, such as pools.
template <typename Struct>
struct ByName {
  using Value = std::vector<Struct>;
  static constexpr std::string_view path_part = ".NAME";
  Section<Struct> inner;
  std::string described;  // "a map of pools by name"
  std::string example;    // "NAME: {servers: [...]}"

  void read(const Node& node, Value& value, Reading& reading) const {
    value.clear();
    if (node.kind != NodeKind::map) return refuse_map(node, described, example, reading);
    for (const Entry& entry : node.entries) {
      const Reading::Step step(reading, entry.key.text);
      check_entry_name(entry, reading);
      Struct& named = value.emplace_back();
      named.name = entry.key.text;
      inner.read(entry.value, named, reading);
    }
  }
  Json write(const Value& value) const {
    Json map = Json::object();
    for (const Struct& named : value) map[named.name] = inner.write(named);
    return map;
  }
  Json schema() const { return {{"type", "object"}, {"additionalProperties", inner.schema()}, {"minProperties", 1}}; }
  std::string words() const { return described; }
};

// A word and what it names: `header:X-Key`.
template <typename Kind>
struct NamedKind {
  std::string word;
  Kind kind;
  Text name;  // of what
};

// `text` taken apart at `separator`, as one of `known`. A name that is wrong is reported, with `reported` set; nothing otherwise.
template <typename Kind>
std::optional<std::pair<Kind, std::string>> read_named(const Node& node, char separator, const std::vector<NamedKind<Kind>>& known,
                                                       Reading& reading, bool& reported) {
  const std::string_view text = node.text;
  const std::size_t end = std::min(text.find(separator), text.size());
  const std::string name(trim(text.substr(std::min(end + 1, text.size()))));
  for (const NamedKind<Kind>& each : known) {
    if (each.word != text.substr(0, end)) continue;
    const auto wrong = each.name.check(name);
    if (!wrong) return std::pair(each.kind, name);
    const std::string why = name.empty() ? "lacks the name" : fmt::format("names {}, which {}", quote(name), *wrong);
    reading.problem(node, fmt::format("found {}, which {}; allowed is {}", found(node), why, each.name.words()));
    reported = true;
    return std::nullopt;
  }
  return std::nullopt;
}

// The Host field that servers see: client and server are words, everything else is the text itself.
struct RouteHost {
  using Value = std::string;
  void read(const Node& node, std::string& value, Reading& reading) const;
  Json write(const std::string& value) const { return value.empty() ? "client" : value; }
  Json schema() const { return {{"type", "string"}}; }
  std::string words() const { return R"(client, server, or a host)"; }
};

}  // namespace steelyard::config
