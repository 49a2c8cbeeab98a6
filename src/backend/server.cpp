#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "backend/backend.hpp"
#include "backend/routes.hpp"
#include "backend/signals.hpp"
#include "net/epoll_net.hpp"
#include "observe/metrics.hpp"
#include "session/frontend.hpp"
#include "wire/http/characters.hpp"

namespace steelyard::backend {
namespace {

// Benchmarks come with as many connections as they like; descriptors are the limit.
constexpr ConnectionOptions connection_options{.connections_max = 1'000'000};

constexpr std::size_t name_bytes_max = 200;

}  // namespace

struct BackendServer::Running {
  Running(EpollLoop& loop, const BackendOptions& options, const SocketAddress& bound)
      : address(bound),
        limits(connection_options),
        routes(loop.scheduler(), scratch, metrics, {.name = options.name, .address = bound, .stream_interval = options.stream_interval}),
        frontend(loop.scheduler(), scratch, metrics, routes, limits) {
    frontend.timeouts = routes.timeouts();
    frontend.timeouts.drain = options.drain_timeout;
  }

  SocketAddress address;
  Scratch scratch;
  WorkerMetrics metrics;
  ConnectionLimits limits;
  Routes routes;
  Frontend frontend;
};

BackendServer::BackendServer(EpollLoop& loop, BackendOptions options) : loop_(loop), options_(std::move(options)) {}
BackendServer::~BackendServer() = default;

std::expected<void, std::string> BackendServer::start() {
  // The name goes into a header field.
  if (options_.name.size() > name_bytes_max || !http::all_of(options_.name, http::value_char)) {
    return std::unexpected(fmt::format("the name of a backend has at most {} bytes, and no control characters", name_bytes_max));
  }
  const auto ip = IpAddress::parse(options_.host);
  if (!ip) return std::unexpected(fmt::format("cannot listen on \"{}\": it is not an IP address, e.g. 127.0.0.1", options_.host));
  const SocketAddress wanted{*ip, options_.port};
  const auto refused = [&](int os_code) {
    const char* const reason = os_code == EADDRINUSE ? "the port is taken; choose another one" : std::strerror(os_code);
    return std::unexpected(fmt::format("cannot listen on {}: {}", wanted.to_string(), reason));
  };
  if (const auto error = exclusive_bind_error(wanted)) return refused(*error);
  const auto descriptor = listen_on(wanted);
  if (!descriptor) return refused(descriptor.error().os_code);
  running_ = std::make_unique<Running>(loop_, options_, local_address_of(*descriptor));
  running_->frontend.listen(make_listener(loop_, *descriptor), {});
  return {};
}

SocketAddress BackendServer::address() const { return running_ ? running_->address : SocketAddress{}; }

std::uint32_t BackendServer::active() const { return running_ ? running_->routes.active() : 0; }

void BackendServer::drain(std::function<void()> done) { running_->frontend.drain(std::move(done)); }

void BackendServer::cut() { running_->frontend.abort(); }

namespace {

constexpr Duration drain_timeout_registered = 30s;

// What ends in which order.
class Run {
 public:
  explicit Run(BackendOptions options) : options_(std::move(options)), server_(loop_, options_), signals_(loop_, [this] { on_signal(); }) {}

  std::expected<void, std::string> start() {
    auto& announce = options_.announce;
    const auto ip = IpAddress::parse(options_.host);
    if (announce && announce->address.empty() && (ip == IpAddress{} || ip == IpAddress::v6({}))) {
      return std::unexpected(fmt::format("nobody finds it at {}: say with --advertise where it is", options_.host));
    }
    if (const auto started = server_.start(); !started) return started;
    if (!announce) return {};
    if (announce->address.empty()) announce->address = server_.address().to_string();
    announcer_.emplace(loop_, *announce, [this] { return Work{.active = server_.active()}; });
    announcer_->start();
    return {};
  }
  [[nodiscard]] SocketAddress address() const { return server_.address(); }
  void serve() { loop_.run(); }

 private:
  void on_signal() {
    ++signals_seen_;
    if (signals_seen_ == 1 && announcer_) {
      announcer_->leave([this] { drain(); });
    } else if (signals_seen_ == 1) {
      drain();
    } else if (signals_seen_ == 2 && announcer_) {
      announcer_->hurry();
    }
    if (signals_seen_ > 1 && draining_) server_.cut();
  }

  void drain() {
    draining_ = true;
    server_.drain([this] { loop_.stop(); });
    if (signals_seen_ > 1) server_.cut();
  }

  EpollLoop loop_;
  BackendOptions options_;
  BackendServer server_;
  std::optional<Announcer> announcer_;
  int signals_seen_ = 0;
  bool draining_ = false;
  Signals signals_;
};

}  // namespace

int run_backend(const BackendOptions& options) {
  BackendOptions adjusted = options;
  if (adjusted.announce) adjusted.drain_timeout = std::max(adjusted.drain_timeout, drain_timeout_registered);
  Run run(std::move(adjusted));
  if (const auto started = run.start(); !started) {
    fmt::print(stderr, "steelyard backend: {}\n", started.error());
    return 1;
  }
  if (!options.quiet) fmt::print(stderr, "listening on {}\n", run.address().to_string());
  run.serve();
  return 0;
}

}  // namespace steelyard::backend
