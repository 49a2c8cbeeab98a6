#include "app/service.hpp"

#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <iterator>
#include <utility>

#include "app/status.hpp"
#include "app/system.hpp"
#include "observe/message.hpp"

namespace steelyard {
namespace {

std::uint32_t workers_of(const Options& options) {
  return options.workers != 0 ? options.workers : std::max(1U, std::thread::hardware_concurrency());
}

}  // namespace

// Signals as events of the control loop.
class Service::Signals final : public Pollable {
 public:
  explicit Signals(Service& service) : service_(service) {
    sigset_t set;
    sigemptyset(&set);
    for (const int number : {SIGTERM, SIGINT, SIGUSR1, SIGUSR2, SIGHUP, SIGCHLD}) sigaddset(&set, number);
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

Service::Service(Options options, Load load, Start start, std::unique_ptr<Predecessor> predecessor)
    : worker_count_(workers_of(options)),
      begun_with_(std::move(options)),
      load_(std::move(load)),
      predecessor_(std::move(predecessor)),
      session_secret_(predecessor_ ? predecessor_->state().session_secret : fmt::format("{:016x}{:016x}", random_seed(), random_seed())),
      seed_(predecessor_ ? predecessor_->state().seed : random_seed()),
      pools_(connector_, worker_count_, random_seed(),
             {.cut = [this](const std::shared_ptr<Server>& server) { cut(server); },
              .on_state = [this](const Pool& pool, const Server& server) { on_state(pool, server); }}),
      directory_(control_, begun_with_.resolve, random_seed(),
                 {.on_change = [this](const std::set<std::string>& pools) { on_servers_changed(pools); },
                  .on_expired = [this](const Registry::Expired& expired) { on_expired(expired); },
                  .is_gone = [this](std::string_view pool, std::string_view id) { return is_gone(pool, id); }}),
      listeners_(worker_count_),
      limit_book_(worker_count_, seed_),
      limit_stores_(worker_count_),
      upgrade_(control_, std::move(start.invocation),
               {.describe = [this](std::optional<int> file) { return describe_for_successor(file); },
                .successor_ready = [this] { hand_over(); },
                .say = [this](std::string_view text) { notify_.status(text); },
                .on_failure = [this](std::string_view why) { publish("upgrade_failed", {{"reason", why}}); }}),
      watchdog_(control_, notify_, [this](const std::function<void()>& answer) {
        for (const auto& worker : workers_) worker->ask(answer);
        return workers_.size();
      }) {
  std::vector<InheritedSocket> sockets = predecessor_ ? predecessor_->take_sockets() : std::move(start.inherited.sockets);
  admin_.inherit(sockets);
  listeners_.inherit(std::move(sockets));
}

Service::~Service() {
  for (const auto& worker : workers_) worker->join();
}

std::expected<std::unique_ptr<Service>, std::string> Service::open(Options options, Load load, Start start) {
  std::unique_ptr<Predecessor> predecessor;
  if (start.inherited.predecessor) {
    auto met = Predecessor::meet(*start.inherited.predecessor);
    if (!met) return std::unexpected(met.error());
    predecessor = std::move(*met);
  }
  std::unique_ptr<Service> service(new Service(options, std::move(load), std::move(start), std::move(predecessor)));
  service->signals_ = std::make_unique<Signals>(*service);
  const std::uint64_t descriptors = raise_descriptor_limit();
  if (descriptors < 2ULL * options.connections.connections_max) {
    log_message(LogLevel::warning,
                "connections.max is {}, but this process may open only {} files: beyond about {} clients connections will wait; "
                "raise `ulimit -n` or lower connections.max",
                options.connections.connections_max, descriptors, descriptors / 2);
  }
  if (const auto opened = service->open_log(); !opened) return std::unexpected(opened.error());
  auto prepared = service->prepare(std::move(options));
  if (!prepared) return std::unexpected(prepared.error());
  service->first_ = std::move(*prepared);
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

// All that may fail comes here, so that a configuration is applied as a whole or not at all.
std::expected<Service::Prepared, std::string> Service::prepare(Options options) {
  auto admin = admin_.prepare(options.admin, options.pools);
  if (!admin) return std::unexpected(admin.error());
  const auto refuse = [&admin](std::string why) {
    AdminServer::discard(*admin);
    return std::unexpected(std::move(why));
  };
  auto tokens = packet_tokens(options);
  if (!tokens) return refuse(tokens.error());
  auto keys = read_route_keys(options.routes);
  if (!keys) return refuse(keys.error());
  for (const std::string& warning : keys->warnings) log_message(LogLevel::warning, "{}", warning);
  auto stores = limit_stores_.prepare(options.stores);
  if (!stores) return refuse(stores.error());
  auto listeners = listeners_.prepare(options.listeners);
  if (!listeners) return refuse(listeners.error());
  return Prepared{std::move(options), std::move(*listeners), std::move(*admin),
                  std::move(*tokens), std::move(keys->keys), std::move(*stores)};
}

std::expected<Service::PacketTokens, std::string> Service::packet_tokens(const Options& options) {
  PacketTokens tokens;
  for (const ListenerOptions& listener : options.listeners) {
    if (listener.protocol != Protocol::packet || listener.packet.registration != PacketRegistration::secret) continue;
    const auto pool = std::ranges::find(options.pools, listener.packet.pool, &PoolOptions::name);
    std::string warning;
    const auto token = admin::read_token_file(pool->registration->token_file, warning);
    if (!token) return std::unexpected(token.error());
    if (!warning.empty()) log_message(LogLevel::warning, "{}", warning);
    tokens.emplace(pool->name, admin::digest_of(*token));
  }
  return tokens;
}

std::vector<WantedPool> Service::wanted_pools() const {
  std::vector<WantedPool> pools = directory_.pools();
  for (WantedPool& pool : pools) {
    if (pool.options.sticky && pool.options.sticky->secret.empty()) pool.options.sticky->secret = session_secret_;
  }
  return pools;
}

void Service::apply(Prepared& prepared) {
  Options& options = prepared.options;
  directory_.configure(options.pools);
  if (!view_ && options.admin) directory_.keep_in(options.admin->state_file);
  pools_.configure(wanted_pools());
  const auto site = std::make_shared<Site>(options.routes, pools_.pools(), seed_, options.http, options.timeouts);
  site->forwarded = options.forwarded;
  site->keys_of_routes = std::move(prepared.route_keys);
  site->used_tokens = used_tokens_;
  limit_stores_.adopt(prepared.stores);
  site->stores = std::move(prepared.stores);
  site->limit_by(limit_book_.configure(options.limits, options.stores), options.pools);
  site->status_page = [this](std::string_view path) { return status_page(*this, path); };
  for (const Listeners::Open& listener : prepared.listeners.open) {
    if (listener.options.protocol != Protocol::packet) {
      site->limit_listener(listener.id, listener.options.limits, {});
      continue;
    }
    const auto pool = std::ranges::find(options.pools, listener.options.packet.pool, &PoolOptions::name);
    site->limit_listener(listener.id, listener.options.limits, pool->limits);
    site->packet_listeners.push_back({listener.id, static_cast<std::size_t>(pool - options.pools.begin()), listener.options.packet});
  }
  packet_tokens_ = std::move(prepared.packet_tokens);
  limits_->configure(options.connections);
  const std::vector<Listeners::Open> closed = std::move(prepared.listeners.closed);
  listeners_.adopt(std::move(prepared.listeners));

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
    worker.use(site);
    for (const ListeningSocket& socket : listeners_.hand_over(static_cast<std::uint32_t>(i))) worker.listen(socket);
    for (const Listeners::Open& listener : listeners_.open()) {
      worker.set_role(listener.id, role_of(listener.options));
    }
    for (const Listeners::Open& listener : closed) worker.stop_listening(listener.id);
    worker.then([left] {
      if (left->fetch_sub(1) == 1) log_message(LogLevel::info, "the new configuration is in use");
    });
  }
}

std::shared_ptr<const Service::View> Service::view() const {
  const std::lock_guard lock(view_mutex_);
  return view_;
}

Moment Service::moment() { return {control_.scheduler().now(), control_.scheduler().unix_us() / 1'000'000}; }

int Service::run() {
  // Names are looked up while the loop runs.
  control_.post([this] {
    if (predecessor_) return take_over();
    directory_.prepare(first_->options.pools, [this] { begin(std::move(*first_)); });
  });
  directory_.start();
  control_.run();
  for (const auto& worker : workers_) worker->join();
  log_->stop();
  upgrade_.finish();
  log_message(LogLevel::info, "stopped");
  return exit_code_;
}

void Service::begin(Prepared prepared, const ProcessState* earlier) {
  if (draining()) return;
  apply(prepared);
  if (earlier != nullptr) restore(*earlier);
  workers_left_ = worker_count_;
  for (std::uint32_t i = 0; i < worker_count_; ++i) {
    workers_.push_back(std::make_unique<Worker>(i, view()->site, metrics_->worker(i), log_->channel(i), *limits_,
                                                static_cast<PacketRegistrar&>(*this), begun_with_.spin, random_seed()));
    for (const ListeningSocket& socket : listeners_.hand_over(i)) workers_.back()->listen(socket);
  }
  for (const auto& worker : workers_) worker->start();
  pools_.start();
  admin_.adopt(std::move(prepared.admin));  // who waits there already is served at once
  notify_.send(fmt::format("READY=1\nMAINPID={}\nSTATUS=ready", getpid()));
  watchdog_.start();
  const auto now = view();
  for (const SocketAddress& address : now->addresses) log_message(LogLevel::info, "listening on {}", address.to_string());
  if (!admin_.where().empty()) log_message(LogLevel::info, "admin API on {}", admin_.where());
  std::size_t servers = 0;
  for (const auto& pool : pools_.pools()) servers += pool->servers().size();
  log_message(LogLevel::info, "ready: workers {}, routes {}, pools {}, servers {}", workers_.size(), now->site->routes.size(),
              now->site->pools.size(), servers);
  if (when_ready_) when_ready_();
}

std::expected<void, Service::Problems> Service::reload() {
  const auto refuse = [this](Problems problems) -> std::expected<void, Problems> {
    refuse_reload(problems);
    return std::unexpected(std::move(problems));
  };
  if (draining() || !view()) return refuse({{.message = "not while it starts or drains"}});
  if (upgrade_.under_way()) return refuse({{.message = "not while another process takes over"}});
  auto options = load_(std::nullopt);
  if (!options) return refuse(options.error());
  // In the order of time: a reload whose names are looked up quickly has failed or not when this returns.
  auto refused = std::make_shared<Problems>();
  directory_.prepare(options->pools, [this, options = *options, refused] {
    auto prepared = prepare(options);
    if (!prepared) {
      refused->push_back({.message = prepared.error()});
      return refuse_reload(*refused);
    }
    for (const std::string& key : config::compare(begun_with_, options).at_restart) {
      log_message(LogLevel::warning, "{} has changed, which takes effect with the next start only", key);
    }
    apply(*prepared);
    admin_.adopt(std::move(prepared->admin));
    reloads_.fetch_add(1);
    publish("reloaded", {{"reloads", reloads_.load()}});
  });
  if (!refused->empty()) return std::unexpected(*refused);
  return {};
}

void Service::refuse_reload(const Problems& problems) {
  reloads_refused_.fetch_add(1);
  std::string text;
  for (const config::Problem& problem : problems) text += "\n" + config::to_string(problem);
  log_message(LogLevel::error, "the configuration is not reloaded, the one in use stays:{}", text);
  publish("reload_refused", {{"problems", text}});
}

void Service::on_signal(int number) {
  if (number == SIGUSR1) {
    log_->reopen();
    log_message(LogLevel::info, "access log reopened");
    return;
  }
  if (number == SIGHUP) return on_hangup();
  if (number == SIGCHLD) return upgrade_.on_child_signal();
  if (number == SIGUSR2) {
    const auto begun = upgrade();
    if (!begun) log_message(LogLevel::error, "no upgrade: {}", begun.error());
    return;
  }
  drain();
}

void Service::on_hangup() {
  const bool speaks = !draining() && !upgrade_.handed_over();  // for the service
  if (speaks) notify_.send(fmt::format("RELOADING=1\nMONOTONIC_USEC={}", monotonic_now().ns / 1000));
  const auto reloaded = reload();  // it says what came of it
  if (speaks)
    notify_.send(reloaded ? "READY=1\nSTATUS=ready" : "READY=1\nSTATUS=ready; the configuration was not reloaded, because it has problems");
}

void Service::drain() {
  if (const auto farewell = std::exchange(before_drain_, nullptr)) {
    return farewell([this] {
      control_.post([this] {
        if (!draining()) drain();  // unless a second signal has
      });
    });
  }
  upgrade_.abandon();
  if (draining_.exchange(true)) {
    log_message(LogLevel::warning, "second signal: cutting {} exchanges", metrics().exchanges_active);
    for (const auto& worker : workers_) worker->abort();
    return;
  }
  if (!view()) return control_.stop();
  const Duration drain = view()->options.timeouts.drain;
  log_message(LogLevel::info, "draining: no new connections; {} for what is under way",
              drain == Duration::max() ? "as long as it takes" : fmt::format("up to {} ms", drain / 1ms));
  if (!upgrade_.handed_over()) {
    notify_.send("STOPPING=1\nSTATUS=draining");
    publish("draining", admin::Json::object());
    directory_.stop();
  }
  watchdog_.stop();
  pools_.stop();
  for (const auto& worker : workers_) worker->drain([this] { on_drained(); });
  if (upgrade_.handed_over()) end_if_handed_over();
}

// On a worker's thread.
void Service::on_drained() {
  if (workers_left_.fetch_sub(1) == 1) control_.post([this] { end(); });
}

void Service::end() {
  if (upgrade_.handed_over()) return end_if_handed_over();
  admin_.stop([this] { control_.stop(); });
}

MetricsSnapshot Service::metrics() const {
  MetricsSnapshot snapshot = metrics_->snapshot(monotonic_now());
  snapshot.log_lines_dropped += log_->dropped();
  snapshot.reloads += reloads_.load();
  snapshot.reloads_refused += reloads_refused_.load();
  return snapshot;
}

}  // namespace steelyard
