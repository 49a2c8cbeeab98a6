#include "app/worker.hpp"

#include <utility>
#include <vector>

namespace steelyard {

Worker::Worker(const Site& site, std::size_t servers, WorkerMetrics& metrics, AccessChannel& log, ConnectionLimits& limits, Duration spin,
               std::uint64_t seed)
    : loop_(spin),
      connector_(loop_),
      connections_(connector_, metrics, servers),
      proxy_(site, connector_, connections_, scratch_, metrics, &log, seed),
      frontend_(loop_.scheduler(), scratch_, metrics, proxy_, limits) {
  frontend_.http = site.http;
  frontend_.timeouts = site.timeouts;
}

Worker::~Worker() { SY_ASSERT(!thread_.joinable()); }

void Worker::start(std::span<const ListeningSocket> sockets) {
  thread_ = std::thread([this, own = std::vector(sockets.begin(), sockets.end())] {
    // On this thread, because listeners and all that they accept come from its memory.
    for (const ListeningSocket& socket : own) frontend_.listen(make_listener(loop_, socket.descriptor), socket.pages);
    loop_.run();
    connections_.close_idle();
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

void Worker::abort() {
  loop_.post([this] { frontend_.abort(); });
}

void Worker::join() {
  if (thread_.joinable()) thread_.join();
}

}  // namespace steelyard
