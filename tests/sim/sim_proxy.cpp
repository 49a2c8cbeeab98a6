#include "sim_proxy.hpp"

#include "observe/message.hpp"

namespace steelyard::sim {
namespace {

ServerOptions options_of_server(const Settings& settings, std::size_t index, std::uint32_t weight) {
  const SocketAddress address = server_address(index);
  ServerOptions options{.id = address.to_string(), .host = address.ip.to_string(), .port = address.port, .weight = weight};
  if (index >= settings.traits.size()) return options;
  options.labels = settings.traits[index].labels;
  options.backup = settings.traits[index].backup;
  return options;
}

std::shared_ptr<Pool> make_pool(const Settings& settings) {
  PoolOptions options = settings.pool;
  options.name = "pool";
  std::vector<SocketAddress> addresses;
  for (std::size_t i = 0; i < settings.servers; ++i) {
    addresses.push_back(server_address(i));
    options.servers.push_back(options_of_server(settings, i, i < settings.weights.size() ? settings.weights[i] : 1));
  }
  return std::make_shared<Pool>(std::move(options), addresses, 1);
}

constexpr std::size_t log_bytes = 1024 * 1024;

ListenerRole role_of(const Settings& settings) {
  if (!settings.packets) return {};
  return {.protocol = Protocol::packet, .packet_bytes_max = settings.packets->bytes_max};
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
      seed_(seed),
      pool_(make_pool(settings)),
      site_(make_site(settings)),
      connector_(net, {IpAddress::v4(0x0a010002U), 50'000}),
      connections_(connector_, metrics_, 0),
      views_(site_, connector_, 0, seed),
      log_(settings.has_log ? AccessChannel(log_bytes, LineStyle::json, -1) : AccessChannel()),
      proxy_(views_, connections_, net.scheduler(), scratch_, metrics_, nullptr, ~seed),
      packets_(views_, connections_, connector_, scratch_, metrics_, &log_, this),
      limits_(settings.connections),
      frontend_(net.scheduler(), scratch_, metrics_, proxy_, limits_),
      detector_(net.scheduler(), *pool_) {
  detector_.start();
  // Only errors: what is simulated goes wrong a thousand times.
  configure_messages({.access = "off", .level = LogLevel::error});
  frontend_.http = settings.http;
  frontend_.timeouts = settings.timeouts;
  frontend_.packets = &packets_;
  frontend_.listen(std::make_unique<SimListener>(net, proxy_address()), role_of(settings));
}

std::shared_ptr<const Site> SimProxy::make_site(const Settings& settings) const {
  auto site = std::make_shared<Site>(one_route(), std::vector{pool_}, seed_, settings.http, settings.timeouts);
  if (settings.packets) site->packet_listeners.push_back({.listener = 0, .pool = 0, .options = *settings.packets});
  return site;
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

void SimProxy::reload(const Settings& settings, Algorithm algorithm, const std::vector<std::uint32_t>& weights) {
  PoolOptions options = settings.pool;
  options.name = "pool";
  options.algorithm = algorithm;
  std::vector<PoolServer> servers;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] != 0) servers.push_back({options_of_server(settings, i, weights[i]), server_address(i)});
  }
  pool_->configure(std::move(options), servers, {net_.now(), net_.now().ns / 1'000'000'000});
  if (prober_) prober_->follow();
  site_ = make_site(settings);
  views_.use(site_);
  frontend_.set_role(0, role_of(settings));
}

void SimProxy::cut_leaving() {
  for (const auto& server : pool_->leaving()) {
    frontend_.visit_exchanges([&](const auto& exchange) {
      if constexpr (std::is_same_v<std::decay_t<decltype(exchange)>, PacketExchange>) PacketProxy::cut(exchange, *server);
    });
  }
}

// The control thread decides some time later, by a rule of its own.
void SimProxy::announce(PacketAnnouncement announcement, std::function<void(std::string refusal)> done) {
  const bool odd = announcement.setup.id.size() % 2 != 0;
  net_.after(net_.some_time(50ms), [odd, done = std::move(done)] { done(odd ? "its id has an odd length" : ""); });
}

void SimProxy::take_lines(const std::function<void(std::string_view line)>& visit) {
  std::string lines;
  for (const std::string_view piece : log_.ring().readable()) lines += piece;
  log_.ring().consume(lines.size());
  for (std::size_t at = 0; at < lines.size();) {
    const std::size_t end = lines.find('\n', at);
    visit(std::string_view(lines).substr(at, end - at));
    at = end + 1;
  }
}

std::vector<std::shared_ptr<Server>> SimProxy::all_servers() const {
  auto servers = pool_->servers();
  for (auto& server : pool_->leaving()) servers.push_back(std::move(server));
  return servers;
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
  for (const auto& server : all_servers()) check("active of " + server->id, server->load.active.load());
  check("the queue", pool_->queue().size());
  check("streams", net_.streams_alive);
  return left;
}

}  // namespace steelyard::sim
