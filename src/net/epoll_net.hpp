// Real sockets over an EpollLoop: TCP streams, listening sockets, connecting. Everything lives on the loop's thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "net/epoll_loop.hpp"
#include "net/stream.hpp"
#include "runtime/block_pool.hpp"

namespace steelyard {

class EpollConnector final : public Connector {
 public:
  explicit EpollConnector(EpollLoop& loop) : loop_(loop) {}

  Result<std::unique_ptr<Stream>> connect(const SocketAddress& to) override;
  // The same to a Unix socket; ENAMETOOLONG beyond 107 bytes. Where its queue is full it fails at once.
  Result<std::unique_ptr<Stream>> connect_to_path(const std::string& path);
  Scheduler& scheduler() override { return loop_.scheduler(); }
  void post(std::function<void()> work) override { loop_.post(std::move(work)); }

 private:
  EpollLoop& loop_;
};

// A listening TCP socket (SO_REUSEPORT, so that every worker can have one on the same port). Port 0 takes a free one. The
// caller owns the descriptor until it hands it to make_listener().
Result<int> listen_on(const SocketAddress& address);
// A listening Unix socket at `path`, which nobody but this user may connect to (mode 0600). A socket that nobody listens at any more
// is replaced; EADDRINUSE where somebody does or where something else is there, ENAMETOOLONG beyond 107 bytes. Whoever ends should
// remove the path. Peers of it have no address: they are shown as SocketAddress{}.
Result<int> listen_on_path(const std::string& path);
std::unique_ptr<Listener> make_listener(EpollLoop& loop, int descriptor);
// The error of binding `address` as its only user, if any: SO_REUSEPORT alone would share a port with another process in silence.
std::optional<int> exclusive_bind_error(const SocketAddress& address);
// Whether it is one of this machine's.
bool is_own_address(const IpAddress& ip);
// The address that a socket is bound to.
SocketAddress local_address_of(int descriptor);

}  // namespace steelyard
