#include "sim_proxy.hpp"

#include "observe/message.hpp"

namespace steelyard::sim {
namespace {

std::shared_ptr<Pool> make_pool(const Settings& settings) {
  PoolOptions options = settings.pool;
  options.name = "pool";
  std::vector<SocketAddress> addresses;
  for (std::size_t i = 0; i < settings.servers; ++i) {
    addresses.push_back(server_address(i));
    ServerOptions server;
    server.id = addresses.back().to_string();
    server.host = addresses.back().ip.to_string();
    server.port = addresses.back().port;
    server.weight = i < settings.weights.size() ? settings.weights[i] : 1;
    options.servers.push_back(std::move(server));
  }
  return std::make_shared<Pool>(std::move(options), addresses, 0);
}

std::vector<RouteOptions> one_route() {
  RouteOptions route;
  route.name = "all";
  route.pool = "pool";
  return {route};
}

}  // namespace

SimProxy::SimProxy(SimNet& net, const Settings& settings, std::uint64_t seed)
    : net_(net),
      pool_(make_pool(settings)),
      site_(one_route(), {pool_}, seed, settings.http, settings.timeouts),
      connector_(net, {IpAddress::v4(0x0a010002U), 50'000}),
      connections_(connector_, metrics_, settings.servers),
      proxy_(site_, connector_, connections_, scratch_, metrics_, nullptr, seed),
      limits_(settings.connections),
      frontend_(net.scheduler(), scratch_, metrics_, proxy_, limits_),
      detector_(net.scheduler(), *pool_, [this](const Server& server) {
        const ServerMetrics& counted = connections_.metrics_of(server);
        return ServerTotals{counted.requests.value(), counted.failures.value() + counted.error_statuses.value()};
      }) {
  detector_.start();
  // Only errors: what is simulated goes wrong a thousand times.
  configure_messages({.access = "off", .level = LogLevel::error});
  frontend_.http = settings.http;
  frontend_.timeouts = settings.timeouts;
  frontend_.listen(std::make_unique<SimListener>(net, proxy_address()), StatusPages::off);
}

// Whatever is left is cut, so that a failed test ends in its message.
SimProxy::~SimProxy() {
  if (!drained_) {
    drain();
    frontend_.abort();
  }
  stop_probes();
  detector_.stop();
  for (int i = 0; i < 100'000 && !drained_; ++i) net_.step();
  while (net_.scheduler().has_ready()) net_.scheduler().run_ready();
}

void SimProxy::start_probes(std::uint64_t seed) {
  prober_ = std::make_unique<Prober>(connector_, *pool_, seed, [this](Server& server, const CheckReport& report) {
    pool_->on_check(server, report, {net_.now(), net_.now().ns / 1'000'000'000});
  });
  prober_->start();
}

void SimProxy::stop_probes() {
  if (!prober_) return;
  prober_->stop();
  while (net_.scheduler().has_ready()) net_.scheduler().run_ready();
  prober_.reset();
}

void SimProxy::drain() {
  frontend_.drain([this] { drained_ = true; });
}

std::string SimProxy::what_is_left() const {
  std::string left;
  const auto check = [&left](std::string_view name, std::int64_t value) {
    if (value != 0) left += fmt::format("{} is {}; ", name, value);
  };
  check("exchanges_active", metrics_.exchanges_active.value());
  check("client_connections", metrics_.client_connections.value());
  check("client_connections_idle", metrics_.client_connections_idle.value());
  check("server_connections", metrics_.server_connections.value());
  check("server_connections_idle", metrics_.server_connections_idle.value());
  for (const auto& server : pool_->servers()) check("active of " + server->id, server->load.active.load());
  check("streams", net_.streams_alive);
  return left;
}

}  // namespace steelyard::sim
