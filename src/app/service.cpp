#include "app/service.hpp"

#include <signal.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "app/resolve.hpp"
#include "app/status.hpp"
#include "observe/message.hpp"

namespace steelyard {
namespace {

std::uint64_t random_seed() {
  std::uint64_t seed = 0;
  // Cannot fail for so few bytes once the system is up.
  [[maybe_unused]] const ssize_t got = getrandom(&seed, sizeof seed, 0);
  return seed;
}

// As many descriptors as the system lets us have: two for each exchange under way.
rlim_t raise_descriptor_limit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

std::string bind_failure(const SocketAddress& address, int os_code) {
  const std::string where = address.to_string();
  if (os_code == EADDRINUSE) {
    return fmt::format(
        "cannot listen on {}: another program already does; stop it or change the listener's bind address (find it with "
        "`ss -ltnp sport = :{}`)",
        where, address.port);
  }
  if (os_code == EACCES) return fmt::format("cannot listen on {}: ports below 1024 need root or CAP_NET_BIND_SERVICE", where);
  if (os_code == EADDRNOTAVAIL) return fmt::format("cannot listen on {}: this machine has no such address; see `ip addr`", where);
  return fmt::format("cannot listen on {}: {}", where, std::strerror(os_code));
}

// SO_REUSEPORT would let a second process share the port in silence; so the first socket of all asks without it.
std::optional<int> port_taken(const SocketAddress& address) {
  if (address.port == 0) return std::nullopt;
  return exclusive_bind_error(address);
}

}  // namespace

// Signals as events of the control loop.
class Service::Signals final : public Pollable {
 public:
  explicit Signals(Service& service) : service_(service) {
    sigset_t set;
    sigemptyset(&set);
    for (const int number : {SIGTERM, SIGINT, SIGUSR1, SIGHUP}) sigaddset(&set, number);
    // Before any thread is started, so that none of them is interrupted instead.
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    signal(SIGPIPE, SIG_IGN);
    descriptor_ = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    SY_ASSERT(descriptor_ >= 0 && service_.control_.add(descriptor_, *this).has_value());
  }
  ~Signals() { close(descriptor_); }

  void on_events(std::uint32_t /*events*/) override {
    signalfd_siginfo info{};
    while (read(descriptor_, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) service_.on_signal(static_cast<int>(info.ssi_signo));
  }

 private:
  Service& service_;
  int descriptor_ = -1;
};

Service::Service(Options options) : options_(std::move(options)) {
  if (options_.workers == 0) options_.workers = std::max(1U, std::thread::hardware_concurrency());
}

Service::~Service() {
  for (const auto& worker : workers_) worker->join();
}

std::expected<std::unique_ptr<Service>, std::string> Service::open(Options options) {
  std::unique_ptr<Service> service(new Service(std::move(options)));
  service->signals_ = std::make_unique<Signals>(*service);
  const rlim_t descriptors = raise_descriptor_limit();
  if (descriptors < 2ULL * service->options_.connections.connections_max) {
    log_message(LogLevel::warning,
                "connections.max is {}, but this process may open only {} files: beyond about {} clients connections will wait; "
                "raise `ulimit -n` or lower connections.max",
                service->options_.connections.connections_max, descriptors, descriptors / 2);
  }
  for (const auto step : {&Service::open_log, &Service::build_site, &Service::bind_listeners}) {
    const auto done = (service.get()->*step)();
    if (!done) return std::unexpected(done.error());
  }
  service->build_workers();
  return service;
}

std::expected<void, std::string> Service::open_log() {
  auto log = AccessLog::open(options_.log, options_.workers);
  if (!log) {
    return std::unexpected(
        fmt::format("cannot open the access log {}: {}; check the directory and its permissions, or set log.access to stdout",
                    options_.log.access, std::strerror(log.error().os_code)));
  }
  log_ = std::move(*log);
  metrics_ = std::make_unique<Metrics>(options_.workers, monotonic_now());
  limits_ = std::make_unique<ConnectionLimits>(options_.connections);
  return {};
}

std::expected<void, std::string> Service::build_site() {
  std::vector<std::shared_ptr<Pool>> pools;
  for (PoolOptions& pool : options_.pools) {
    if (pool.sticky && pool.sticky->secret.empty()) pool.sticky->secret = fmt::format("{:016x}{:016x}", random_seed(), random_seed());
    std::vector<SocketAddress> addresses;
    for (const ServerOptions& server : pool.servers) {
      const auto address = resolve(server.host, server.port);
      if (!address) return std::unexpected(fmt::format("pools.{}: server {}: {}", pool.name, server.id, address.error()));
      addresses.push_back(*address);
    }
    pools.push_back(std::make_shared<Pool>(pool, addresses, static_cast<std::uint32_t>(server_count_)));
    server_count_ += pool.servers.size();
  }
  site_ = std::make_unique<Site>(options_.routes, std::move(pools), random_seed(), options_.http, options_.timeouts);
  site_->forwarded = options_.forwarded;
  site_->status_page = [this](std::string_view path) { return status_page(*this, path); };
  return {};
}

std::expected<void, std::string> Service::bind_listeners() {
  sockets_.resize(options_.workers);
  for (const ListenerOptions& listener : options_.listeners) {
    if (const auto taken = port_taken(listener.bind)) return std::unexpected(bind_failure(listener.bind, *taken));
    SocketAddress address = listener.bind;
    for (auto& own : sockets_) {
      const auto descriptor = listen_on(address);
      if (!descriptor) return std::unexpected(bind_failure(address, descriptor.error().os_code));
      address = local_address_of(*descriptor);  // what port 0 became is shared by all workers
      own.push_back({*descriptor, listener.status_pages ? StatusPages::on : StatusPages::off});
    }
    addresses_.push_back(address);
  }
  return {};
}

void Service::build_workers() {
  for (std::uint32_t i = 0; i < options_.workers; ++i) {
    workers_.push_back(
        std::make_unique<Worker>(*site_, server_count_, metrics_->worker(i), log_->channel(i), *limits_, options_.spin, random_seed()));
  }
}

void Service::start_watching() {
  for (const auto& pool : site_->pools) {
    detectors_.push_back(
        std::make_unique<OutlierDetector>(control_.scheduler(), *pool, [this](const Server& server) { return totals_of(server); }));
    detectors_.back()->start();
    if (!pool->options().health) continue;
    probers_.push_back(
        std::make_unique<Prober>(connector_, *pool, random_seed(), [this, pool = pool.get()](Server& server, const CheckReport& report) {
          pool->on_check(server, report, {control_.scheduler().now(), control_.scheduler().unix_us() / 1'000'000});
        }));
    probers_.back()->start();
  }
}

ServerTotals Service::totals_of(const Server& server) const {
  ServerTotals totals;
  for (const auto& worker : workers_) {
    const ServerMetrics& metrics = worker->metrics_of(server);
    totals.requests += metrics.requests.value();
    totals.failures += metrics.failures.value() + metrics.error_statuses.value();
  }
  return totals;
}

int Service::run() {
  workers_left_ = workers_.size();
  for (std::size_t i = 0; i < workers_.size(); ++i) workers_[i]->start(sockets_[i]);
  for (const SocketAddress& address : addresses_) log_message(LogLevel::info, "listening on {}", address.to_string());
  log_message(LogLevel::info, "ready: workers {}, routes {}, pools {}, servers {}", workers_.size(), site_->routes.size(),
              site_->pools.size(), server_count_);
  start_watching();
  control_.run();
  for (const auto& worker : workers_) worker->join();
  log_->stop();
  log_message(LogLevel::info, "stopped");
  return exit_code_;
}

void Service::on_signal(int number) {
  if (number == SIGUSR1) {
    log_->reopen();
    log_message(LogLevel::info, "access log reopened");
    return;
  }
  if (number == SIGHUP) {
    log_message(LogLevel::warning, "SIGHUP: the configuration is read at the start only; restart to apply a change");
    return;
  }
  if (draining_.exchange(true)) {
    log_message(LogLevel::warning, "second signal: cutting {} exchanges", metrics().exchanges_active);
    for (const auto& worker : workers_) worker->abort();
    return;
  }
  const Duration drain = options_.timeouts.drain;
  log_message(LogLevel::info, "draining: no new connections; {} for what is under way",
              drain == Duration::max() ? "as long as it takes" : fmt::format("up to {} ms", drain / 1ms));
  for (const auto& prober : probers_) prober->stop();
  for (const auto& detector : detectors_) detector->stop();
  for (const auto& worker : workers_) {
    worker->drain([this] {
      if (workers_left_.fetch_sub(1) == 1) control_.stop();
    });
  }
}

MetricsSnapshot Service::metrics() const {
  MetricsSnapshot snapshot = metrics_->snapshot(monotonic_now());
  snapshot.log_lines_dropped = log_->dropped();
  return snapshot;
}

}  // namespace steelyard
