#include "app/worker.hpp"

#include <utility>

namespace steelyard {

Worker::Worker(std::uint32_t index, std::shared_ptr<const Site> site, WorkerMetrics& metrics, AccessChannel& log, ConnectionLimits& limits,
               Duration spin, std::uint64_t seed)
    : loop_(spin),
      connector_(loop_),
      connections_(connector_, metrics, index),
      proxy_(site, index, connector_, connections_, scratch_, metrics, &log, seed),
      frontend_(loop_.scheduler(), scratch_, metrics, proxy_, limits) {
  frontend_.http = site->http;
  frontend_.timeouts = site->timeouts;
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
  loop_.post([this, socket] { frontend_.listen(make_listener(loop_, socket.descriptor), socket.pages, socket.listener); });
}

void Worker::stop_listening(std::uint32_t listener) {
  loop_.post([this, listener] { frontend_.stop_listening(listener); });
}

void Worker::set_pages(std::uint32_t listener, StatusPages pages) {
  loop_.post([this, listener, pages] { frontend_.set_pages(listener, pages); });
}

void Worker::use(std::shared_ptr<const Site> site, std::function<void()> done) {
  loop_.post([this, site = std::move(site), done = std::move(done)] {
    frontend_.http = site->http;
    frontend_.timeouts = site->timeouts;
    proxy_.use(site);
    done();
  });
}

void Worker::cut(std::shared_ptr<const Server> server) {
  loop_.post([this, server = std::move(server)] {
    frontend_.visit_exchanges([&](const Exchange& exchange) { HttpProxy::cut(exchange, *server); });
  });
}

void Worker::list_exchanges(std::size_t most, std::function<void(std::vector<ExchangeView>)> done) {
  loop_.post([this, most, done = std::move(done)] {
    std::vector<ExchangeView> list;
    frontend_.visit_exchanges([&](const Exchange& exchange) {
      if (list.size() < most) list.push_back(HttpProxy::describe(exchange, loop_.scheduler().now()));
    });
    done(std::move(list));
  });
}

void Worker::drain(std::function<void()> done) {
  loop_.post([this, done = std::move(done)] {
    frontend_.drain([this, done] {
      done();
      loop_.stop();
    });
  });
}

void Worker::drain_gently(std::function<void()> accepted_all, std::function<void()> done) {
  loop_.post([this, accepted_all = std::move(accepted_all), done = std::move(done)] {
    frontend_.drain_gently(accepted_all, [this, done] {
      done();
      loop_.stop();
    });
  });
}

void Worker::abort() {
  loop_.post([this] { frontend_.abort(); });
}

void Worker::join() {
  if (thread_.joinable()) thread_.join();
}

}  // namespace steelyard
