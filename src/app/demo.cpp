// `steelyard demo`: three demo servers as child processes and the proxy in front of them, all ended together.
#include <fmt/format.h>
#include <poll.h>

#include <string>
#include <vector>

#include "app/commands.hpp"
#include "app/demo_servers.hpp"
#include "app/service.hpp"
#include "net/epoll_net.hpp"
#include "observe/message.hpp"

namespace steelyard {
namespace {

constexpr int server_count = 3;

quota::LimitOptions per_client(const DemoOptions& demo) {
  quota::LimitOptions limit;
  limit.name = "per-client";
  limit.rule = {.kind = limit::Kind::fixed_window, .count = 5, .period = 60s};
  limit.fields = quota::FieldsOn::always;
  if (demo.redis.port != 0) limit.store = "redis";
  return limit;
}

quota::StoreOptions redis_at(const SocketAddress& address) {
  quota::StoreOptions store;
  store.name = "redis";
  store.places = {{address.ip.to_string(), address.port}};
  return store;
}

Options demo_options(const DemoOptions& demo) {
  Options options;
  options.listeners.push_back({.bind = {IpAddress::loopback(), demo.port}, .status_pages = true});
  PoolOptions pool;
  pool.name = "demo";
  pool.algorithm = Algorithm::round_robin;  // what is easiest to see
  pool.health = HealthOptions{.interval = 1s, .timeout = 1s};
  for (int i = 0; i < server_count; ++i) {
    ServerOptions server;
    server.id = fmt::format("backend{}", i + 1);
    server.host = "127.0.0.1";
    server.port = static_cast<std::uint16_t>(demo.backend_port + i);
    pool.servers.push_back(std::move(server));
  }
  options.pools.push_back(std::move(pool));
  RouteOptions everything;
  everything.name = "everything";
  everything.pool = "demo";
  if (demo.limited) {
    options.admin = AdminOptions{.bind = {IpAddress::loopback(), demo.admin_port}};
    everything.limits = {"per-client"};
    options.limits.push_back(per_client(demo));
    if (demo.redis.port != 0) options.stores.push_back(redis_at(demo.redis));
  }
  options.routes.push_back(std::move(everything));
  return options;
}

// The first health check should find the servers up. False when one of them has not come up.
bool wait_for_servers(const DemoOptions& demo) {
  constexpr int attempts = 500;
  for (int i = 0; i < server_count; ++i) {
    const SocketAddress address{IpAddress::loopback(), static_cast<std::uint16_t>(demo.backend_port + i)};
    int left = attempts;
    while (!exclusive_bind_error(address) && --left > 0) poll(nullptr, 0, 10);
    if (left == 0) return false;
  }
  return true;
}

void print_what_to_try_with_limits(const DemoOptions& demo) {
  fmt::print(
      R"(
Steelyard is in front of three servers, and a client may ask five times a minute, counted in {1}. In another terminal, try:

  for i in 1 2 3 4 5 6; do curl -s localhost:{0}/; done   the sixth is refused
  curl -i localhost:{0}/                                  with 429, and when to come back
  steelyard limits --admin 127.0.0.1:{2}                whom the limit has refused
  steelyard servers add demo 127.0.0.1:{3} --admin 127.0.0.1:{2}
                                                         another server, while it runs

Each request appears below. Ctrl-C ends everything.

)",
      demo.port, demo.redis.port == 0 ? "memory" : "Redis at " + demo.redis.to_string(), demo.admin_port, demo.backend_port + server_count);
  std::fflush(stdout);
}

void print_what_to_try(const DemoOptions& demo) {
  if (demo.limited) return print_what_to_try_with_limits(demo);
  fmt::print(
      R"(
Steelyard is in front of three servers. In another terminal, try:

  curl localhost:{0}/                        who answers? Ask again: the three take turns
  curl localhost:{1}/fail                    make backend1 unhealthy; again to heal it
  curl localhost:{0}/__status__              what the proxy knows of its servers
  curl localhost:{0}/__metrics__             what it has counted
  curl -d hello localhost:{0}/echo           what a server gets to see
  curl -N localhost:{0}/stream/5             an event a second
  curl -o /dev/null localhost:{0}/bytes/1g   a large body, streamed

Each request appears below. Ctrl-C ends everything.

)",
      demo.port, demo.backend_port);
  std::fflush(stdout);
}

}  // namespace

int demo(const DemoOptions& demo) {
  if (demo.port >= demo.backend_port && demo.port < demo.backend_port + server_count) {
    fmt::print(stderr, "steelyard: port {} is wanted for the proxy and for a server: choose others with --port or --backend-port\n",
               demo.port);
    return 2;
  }
  for (int i = 0; i < server_count; ++i) {
    const SocketAddress address{IpAddress::loopback(), static_cast<std::uint16_t>(demo.backend_port + i)};
    if (exclusive_bind_error(address)) {
      fmt::print(stderr, "steelyard: port {} is taken, and the demo's servers need {} to {}: choose others with --backend-port\n",
                 address.port, demo.backend_port, demo.backend_port + server_count - 1);
      return 1;
    }
  }
  if (exclusive_bind_error({IpAddress::loopback(), demo.port})) {
    fmt::print(stderr, "steelyard: port {} is taken: choose another with --port\n", demo.port);
    return 1;
  }
  Options options = demo_options(demo);
  configure_messages(options.log);
  DemoServers servers;
  for (const ServerOptions& server : options.pools.front().servers) {
    if (!servers.start({"backend", "--port", std::to_string(server.port), "--name", server.id, "--quiet"})) {
      fmt::print(stderr, "steelyard: cannot start another process for {}\n", server.id);
      return 1;
    }
  }
  if (!wait_for_servers(demo)) {
    fmt::print(stderr, "steelyard: the demo's servers did not start\n");
    return 1;
  }
  const Service::Load again = [options](std::optional<std::string_view>) { return std::expected<Options, Service::Problems>(options); };
  auto service = Service::open(std::move(options), again);
  if (!service) {
    fmt::print(stderr, "steelyard: {}\n", service.error());
    return 1;
  }
  print_what_to_try(demo);
  return (*service)->run();
}

}  // namespace steelyard
