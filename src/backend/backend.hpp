// The demo and test server: pages that say who answered, that are slow, large, busy or broken on demand, and a WebSocket echo. It is
// the other side of a proxy in demos, tests and benchmarks, on the same runtime as the proxy; it is not a web server. One thread,
// one loop.
//
// The library stands between session/, whose ExchangeHandler it implements, and app/, which runs it; it knows neither upstream/ nor
// proxy/.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "backend/announcer.hpp"
#include "base/time.hpp"
#include "net/address.hpp"
#include "net/epoll_loop.hpp"

namespace steelyard::backend {

struct BackendOptions {
  std::string host = "127.0.0.1";  // an IP address
  std::uint16_t port = 8001;       // 0 takes a free one
  std::string name = "backend";
  bool quiet = false;             // say nothing on stderr when ready
  Duration stream_interval = 1s;  // between the events of /stream
  Duration drain_timeout = 1s;
  std::optional<AnnounceOptions> announce{};  // registers with a proxy; what is under way in the end then has 30 s at least
};

class BackendServer {
 public:
  BackendServer(EpollLoop& loop, BackendOptions options);
  // Only before start() or after drain() is done.
  ~BackendServer();

  // Listens from now on, or says in one sentence why it cannot. On the loop's thread, as everything here.
  std::expected<void, std::string> start();
  [[nodiscard]] SocketAddress address() const;
  // Exchanges under way.
  [[nodiscard]] std::uint32_t active() const;
  // Ends all connections in order, after drain_timeout by force; then calls `done`, once.
  void drain(std::function<void()> done);
  // After drain(): what is left is cut.
  void cut();

 private:
  struct Running;
  EpollLoop& loop_;
  BackendOptions options_;
  std::unique_ptr<Running> running_;
};

// Serves until SIGTERM or SIGINT; the second one cuts what is under way. Returns the exit code: 1 when it could not listen, or does not
// know what address to announce, having said why on stderr.
int run_backend(const BackendOptions& options);

}  // namespace steelyard::backend
