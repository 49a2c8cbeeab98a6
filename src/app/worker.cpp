#include "app/worker.hpp"

#include <utility>

namespace steelyard {
namespace {

void cut_at(const Exchange& exchange, const Server& server) { HttpProxy::cut(exchange, server); }
void cut_at(const PacketExchange& exchange, const Server& server) { PacketProxy::cut(exchange, server); }
ExchangeView described(const Exchange& exchange, Instant now) { return HttpProxy::describe(exchange, now); }
ExchangeView described(const PacketExchange& exchange, Instant now) { return PacketProxy::describe(exchange, now); }

}  // namespace

Worker::Worker(std::uint32_t index, std::shared_ptr<const Site> site, WorkerMetrics& metrics, AccessChannel& log, ConnectionLimits& limits,
               PacketRegistrar& registrar, Duration spin, std::uint64_t seed)
    : loop_(spin),
      connector_(loop_),
      connections_(connector_, metrics, index),
      views_(site, connector_, index, seed),
      proxy_(views_, connections_, loop_.scheduler(), scratch_, metrics, &log, ~seed),
      packet_proxy_(views_, connections_, connector_, scratch_, metrics, &log, &registrar),
      frontend_(loop_.scheduler(), scratch_, metrics, proxy_, limits) {
  frontend_.http = site->http;
  frontend_.timeouts = site->timeouts;
  frontend_.packets = &packet_proxy_;
}

Worker::~Worker() { SY_ASSERT(!thread_.joinable()); }

void Worker::start() {
  thread_ = std::thread([this] {
    loop_.run();
    connections_.close_idle();
  });
}

// On the worker's thread, because listeners and all that they accept come from its memory.
void Worker::listen(const ListeningSocket& socket) {
  loop_.post([this, socket] { frontend_.listen(make_listener(loop_, socket.descriptor), socket.role, socket.listener); });
}

void Worker::stop_listening(std::uint32_t listener) {
  loop_.post([this, listener] { frontend_.stop_listening(listener); });
}

void Worker::set_role(std::uint32_t listener, const ListenerRole& role) {
  loop_.post([this, listener, role] { frontend_.set_role(listener, role); });
}

void Worker::use(std::shared_ptr<const Site> site) {
  loop_.post([this, site = std::move(site)] {
    frontend_.http = site->http;
    frontend_.timeouts = site->timeouts;
    views_.use(site);
  });
}

void Worker::then(std::function<void()> work) { loop_.post(std::move(work)); }

void Worker::cut(std::shared_ptr<const Server> server) {
  loop_.post([this, server = std::move(server)] { frontend_.visit_exchanges([&](const auto& exchange) { cut_at(exchange, *server); }); });
}

void Worker::list_exchanges(std::size_t most, std::function<void(std::vector<ExchangeView>)> done) {
  loop_.post([this, most, done = std::move(done)] {
    std::vector<ExchangeView> list;
    frontend_.visit_exchanges([&](const auto& exchange) {
      if (list.size() < most) list.push_back(described(exchange, loop_.scheduler().now()));
    });
    done(std::move(list));
  });
}

void Worker::drain(std::function<void()> done) {
  loop_.post([this, done = std::move(done)] {
    frontend_.drain([this, done] {
      done();
      end_loop();
    });
  });
}

void Worker::drain_gently(std::function<void()> accepted_all, std::function<void()> done) {
  loop_.post([this, accepted_all = std::move(accepted_all), done = std::move(done)] {
    frontend_.drain_gently(accepted_all, [this, done] {
      done();
      end_loop();
    });
  });
}

// When what is said to stores has ended, too.
void Worker::end_loop() {
  if (views_.stop_stores()) return loop_.stop();
  loop_.post([this] { end_loop(); });
}

void Worker::abort() {
  loop_.post([this] { frontend_.abort(); });
}

void Worker::join() {
  if (thread_.joinable()) thread_.join();
}

}  // namespace steelyard
