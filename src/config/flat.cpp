// LoadX's flat spelling: its table, and what it means in the full one. A config.json of that system runs as it is.
#include "config/shapes.hpp"
#include "config/tables.hpp"

namespace steelyard::config {
namespace {

// The host of a server or listener, without a port.
struct Host {
  using Value = std::string;
  void read(const Node& node, std::string& value, Reading& reading) const {
    if (!read_scalar(node, Quotes::allowed, words(), reading)) return;
    const auto host = parse_host(node.text);
    if (host) {
      value = host->host;
    } else {
      reading.refuse(node, host.error(), words());
    }
  }
  Json write(const std::string& value) const { return value.empty() ? Json(nullptr) : Json(value); }
  Json schema() const { return {{"type", "string"}}; }
  std::string words() const { return "an IP address or a name"; }
};

// Where the proxy listens. The flat spelling also has "" and "localhost", which need no resolver.
struct ProxyHost {
  using Value = std::string;
  void read(const Node& node, std::string& value, Reading& reading) const {
    if (!read_scalar(node, Quotes::allowed, words(), reading)) return;
    const std::string text = node.text.empty() || node.text == "*" ? "0.0.0.0" : node.text == "localhost" ? "127.0.0.1" : node.text;
    if (IpAddress::parse(text)) {
      value = text;
    } else {
      reading.problem(node, fmt::format("found {}, allowed is {}", found(node), words()));
    }
  }
  Json write(const std::string& value) const { return value; }
  Json schema() const { return {{"type", "string"}}; }
  std::string words() const { return "an IP address of this machine, 0.0.0.0 for all, or localhost"; }
};

const Section<ServerOptions>& backend_table() {
  static const Section<ServerOptions> table{
      "a map with the keys host, port and weight",
      {
          required<ServerOptions>("host", SY_AT(.host), Host{}, "Where the server is."),
          required<ServerOptions>("port", SY_AT(.port), Count<std::uint16_t>{1, 65535}, "Its port."),
          key<ServerOptions>("weight", SY_AT(.weight), Count<std::uint32_t>{1, weight_max}, "`pools.NAME.servers[].weight`"),
      }};
  return table;
}

}  // namespace

const Section<FlatOptions>& flat_table() {
  const Choice<Algorithm> algorithm{
      {{"round_robin", Algorithm::round_robin}, {"least_connections", Algorithm::least_connections}, {"ip_hash", Algorithm::ip_hash}}};
  const NonEmpty<List<Section<ServerOptions>>> servers{{backend_table(), "a list of servers {host, port, weight}, at least one"}};
  const auto check = [](const Node& node, FlatOptions& flat, Reading& reading) {
    const Node* list = node.find("backend_servers");
    if (list == nullptr) return;
    const Reading::Step step(reading, "backend_servers");
    check_servers(*list, flat.backend_servers, reading);
  };
  // The meaning of a flat key is the full key that it stands for.
  static const Section<FlatOptions> table{
      "a map with the keys of a LoadX configuration",
      {
          key<FlatOptions>("proxy_port", SY_AT(.proxy_port), Count<std::uint16_t>{1, 65535}, "`listeners[].bind`"),
          key<FlatOptions>("proxy_host", SY_AT(.proxy_host), ProxyHost{}, "`listeners[].bind`"),
          key<FlatOptions>("algorithm", SY_AT(.algorithm), algorithm, "`pools.NAME.algorithm`"),
          required<FlatOptions>("backend_servers", SY_AT(.backend_servers), servers, "`pools.NAME.servers`"),
          key<FlatOptions>("health_check_interval", SY_AT(.health_check_interval), Seconds{10ms, 24h}, "`pools.NAME.health.interval`"),
          key<FlatOptions>("health_check_timeout", SY_AT(.health_check_timeout), Seconds{1ms, 1h}, "`pools.NAME.health.timeout`"),
          key<FlatOptions>("max_connections", SY_AT(.max_connections), Count<std::uint32_t>{1, 10'000'000}, "`connections.max`"),
          key<FlatOptions>("connection_timeout", SY_AT(.connection_timeout), Seconds{1ms, 720h}, "`timeouts.connect`"),
          key<FlatOptions>("request_timeout", SY_AT(.request_timeout), Seconds{1ms, 720h}, "`timeouts.first_byte`"),
          key<FlatOptions>("enable_logging", SY_AT(.enable_logging), Switch{}, "`log.access`"),
          key<FlatOptions>("enable_metrics", SY_AT(.enable_metrics), Switch{}, "`metrics`"),
      },
      check};
  return table;
}

Options expand_flat(const FlatOptions& flat) {
  Options options;
  options.metrics = flat.enable_metrics;
  options.log.access = flat.enable_logging ? "stdout" : "off";
  options.connections.connections_max = flat.max_connections;
  options.timeouts.connect = flat.connection_timeout;
  // There it bounds a whole request, body and all; nothing that runs longer was ever answered.
  options.timeouts.first_byte = flat.request_timeout;

  ListenerOptions& listener = options.listeners.emplace_back();
  listener.bind = {IpAddress::parse(flat.proxy_host).value_or(IpAddress{}), flat.proxy_port};
  listener.status_pages = true;

  PoolOptions& pool = options.pools.emplace_back();
  pool.name = "backends";
  pool.algorithm = flat.algorithm;
  pool.servers = flat.backend_servers;
  pool.health.emplace();
  pool.health->interval = flat.health_check_interval;
  pool.health->timeout = flat.health_check_timeout;
  pool.slow_start.window = 0s;  // there a server that comes back gets its full share at once

  RouteOptions& route = options.routes.emplace_back();
  route.name = "*";
  route.pool = pool.name;
  return options;
}

}  // namespace steelyard::config
