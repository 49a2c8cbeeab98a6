#include "app/service.hpp"

#include <signal.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
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

std::uint32_t workers_of(const Options& options) {
  return options.workers != 0 ? options.workers : std::max(1U, std::thread::hardware_concurrency());
}

// What a running process cannot change.
void warn_of_what_needs_a_restart(const Options& before, const Options& after) {
  const auto warn = [](std::string_view key) {
    log_message(LogLevel::warning, "{} has changed, which takes effect with the next start only", key);
  };
  if (workers_of(before) != workers_of(after)) warn("workers");
  if (before.spin != after.spin) warn("spin");
  if (before.log.access != after.log.access || before.log.format != after.log.format || before.log.level != after.log.level) warn("log");
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

Service::Service(Options options, Load load)
    : worker_count_(workers_of(options)),
      begun_with_(std::move(options)),
      load_(std::move(load)),
      session_secret_(fmt::format("{:016x}{:016x}", random_seed(), random_seed())),
      seed_(random_seed()),
      pools_(connector_, worker_count_, random_seed(), [this](const std::shared_ptr<Server>& server) { cut(server); }),
      listeners_(worker_count_) {}

Service::~Service() {
  for (const auto& worker : workers_) worker->join();
}

std::expected<std::unique_ptr<Service>, std::string> Service::open(Options options, Load load) {
  std::unique_ptr<Service> service(new Service(options, std::move(load)));
  service->signals_ = std::make_unique<Signals>(*service);
  const rlim_t descriptors = raise_descriptor_limit();
  if (descriptors < 2ULL * options.connections.connections_max) {
    log_message(LogLevel::warning,
                "connections.max is {}, but this process may open only {} files: beyond about {} clients connections will wait; "
                "raise `ulimit -n` or lower connections.max",
                options.connections.connections_max, descriptors, descriptors / 2);
  }
  if (const auto opened = service->open_log(); !opened) return std::unexpected(opened.error());
  if (const auto applied = service->apply(std::move(options)); !applied) return std::unexpected(applied.error());
  service->build_workers();
  return service;
}

std::expected<void, std::string> Service::open_log() {
  auto log = AccessLog::open(begun_with_.log, worker_count_);
  if (!log) {
    return std::unexpected(
        fmt::format("cannot open the access log {}: {}; check the directory and its permissions, or set log.access to stdout",
                    begun_with_.log.access, std::strerror(log.error().os_code)));
  }
  log_ = std::move(*log);
  metrics_ = std::make_unique<Metrics>(worker_count_, monotonic_now());
  limits_ = std::make_unique<ConnectionLimits>(begun_with_.connections);
  return {};
}

std::expected<std::vector<WantedPool>, std::string> Service::find_servers(const Options& options) const {
  std::vector<WantedPool> pools;
  for (const PoolOptions& pool : options.pools) {
    WantedPool wanted{pool, {}};
    if (wanted.options.sticky && wanted.options.sticky->secret.empty()) wanted.options.sticky->secret = session_secret_;
    for (const ServerOptions& server : pool.servers) {
      const auto address = resolve(server.host, server.port);
      if (!address) return std::unexpected(fmt::format("pools.{}: server {}: {}", pool.name, server.id, address.error()));
      wanted.servers.push_back({server, *address});
    }
    pools.push_back(std::move(wanted));
  }
  return pools;
}

// All that may fail comes first, so that a configuration is applied as a whole or not at all.
std::expected<void, std::string> Service::apply(Options options) {
  auto pools = find_servers(options);
  if (!pools) return std::unexpected(pools.error());
  auto listeners = listeners_.prepare(options.listeners);
  if (!listeners) return std::unexpected(listeners.error());

  pools_.configure(std::move(*pools));
  const auto site = std::make_shared<Site>(options.routes, pools_.pools(), seed_, options.http, options.timeouts);
  site->forwarded = options.forwarded;
  site->status_page = [this](std::string_view path) { return status_page(*this, path); };
  limits_->configure(options.connections);
  const std::vector<Listeners::Open> closed = std::move(listeners->closed);
  listeners_.adopt(std::move(*listeners));

  auto view = std::make_shared<View>(View{std::move(options), site, {}});
  for (const Listeners::Open& listener : listeners_.open()) view->addresses.push_back(listener.address);
  {
    const std::lock_guard lock(view_mutex_);
    view_ = std::move(view);
  }

  const auto left = std::make_shared<std::atomic<std::size_t>>(workers_.size());
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    Worker& worker = *workers_[i];
    // A client that comes by a new listener finds the new site.
    worker.use(site, [left] {
      if (left->fetch_sub(1) == 1) log_message(LogLevel::info, "the new configuration is in use");
    });
    for (const ListeningSocket& socket : listeners_.hand_over(static_cast<std::uint32_t>(i))) worker.listen(socket);
    for (const Listeners::Open& listener : listeners_.open()) {
      worker.set_pages(listener.id, listener.options.status_pages ? StatusPages::on : StatusPages::off);
    }
    for (const Listeners::Open& listener : closed) worker.stop_listening(listener.id);
  }
  return {};
}

void Service::build_workers() {
  for (std::uint32_t i = 0; i < worker_count_; ++i) {
    workers_.push_back(
        std::make_unique<Worker>(i, view()->site, metrics_->worker(i), log_->channel(i), *limits_, begun_with_.spin, random_seed()));
    for (const ListeningSocket& socket : listeners_.hand_over(i)) workers_.back()->listen(socket);
  }
}

void Service::cut(const std::shared_ptr<Server>& server) {
  const std::uint32_t active = server->load.active.load(std::memory_order_relaxed);
  if (active == 0) return;
  log_message(LogLevel::warning, "server {}: {} exchanges are still under way at the deadline: cutting them", server->id, active);
  for (const auto& worker : workers_) worker->cut(server);
}

std::shared_ptr<const Service::View> Service::view() const {
  const std::lock_guard lock(view_mutex_);
  return view_;
}

int Service::run() {
  workers_left_ = workers_.size();
  for (const auto& worker : workers_) worker->start();
  const auto now = view();
  for (const SocketAddress& address : now->addresses) log_message(LogLevel::info, "listening on {}", address.to_string());
  std::size_t servers = 0;
  for (const PoolOptions& pool : now->options.pools) servers += pool.servers.size();
  log_message(LogLevel::info, "ready: workers {}, routes {}, pools {}, servers {}", workers_.size(), now->site->routes.size(),
              now->site->pools.size(), servers);
  pools_.start();
  control_.run();
  for (const auto& worker : workers_) worker->join();
  log_->stop();
  log_message(LogLevel::info, "stopped");
  return exit_code_;
}

std::expected<void, std::string> Service::reload() {
  auto options = load_();
  if (!options) {
    reloads_refused_.fetch_add(1);
    return std::unexpected(options.error());
  }
  warn_of_what_needs_a_restart(begun_with_, *options);
  auto applied = apply(std::move(*options));
  (applied ? reloads_ : reloads_refused_).fetch_add(1);
  return applied;
}

void Service::on_signal(int number) {
  if (number == SIGUSR1) {
    log_->reopen();
    log_message(LogLevel::info, "access log reopened");
    return;
  }
  if (number == SIGHUP) {
    if (draining()) return log_message(LogLevel::warning, "SIGHUP: not while draining");
    const auto reloaded = reload();
    if (!reloaded) log_message(LogLevel::error, "the configuration is not reloaded, the one in use stays: {}", reloaded.error());
    return;
  }
  drain();
}

void Service::drain() {
  if (draining_.exchange(true)) {
    log_message(LogLevel::warning, "second signal: cutting {} exchanges", metrics().exchanges_active);
    for (const auto& worker : workers_) worker->abort();
    return;
  }
  const Duration drain = view()->options.timeouts.drain;
  log_message(LogLevel::info, "draining: no new connections; {} for what is under way",
              drain == Duration::max() ? "as long as it takes" : fmt::format("up to {} ms", drain / 1ms));
  pools_.stop();
  for (const auto& worker : workers_) {
    worker->drain([this] {
      if (workers_left_.fetch_sub(1) == 1) control_.stop();
    });
  }
}

MetricsSnapshot Service::metrics() const {
  MetricsSnapshot snapshot = metrics_->snapshot(monotonic_now());
  snapshot.log_lines_dropped = log_->dropped();
  snapshot.reloads = reloads_.load();
  snapshot.reloads_refused = reloads_refused_.load();
  return snapshot;
}

}  // namespace steelyard
