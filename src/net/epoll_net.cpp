#include "net/epoll_net.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "net/sockaddr.hpp"

namespace steelyard {
namespace {

ErrorKind kind_of(int os_code) {
  switch (os_code) {
    case EAGAIN: return ErrorKind::would_block;
    case ECONNRESET:
    case EPIPE: return ErrorKind::reset;
    case ECONNREFUSED: return ErrorKind::refused;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENETDOWN:
    case EHOSTDOWN: return ErrorKind::unreachable;
    case ETIMEDOUT: return ErrorKind::timed_out;
    case EADDRNOTAVAIL:  // of a connect: no local port is left
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM: return ErrorKind::resources;
    default: return ErrorKind::system;
  }
}

std::unexpected<Error> os_failure(int os_code) { return fail(kind_of(os_code), Side::local, Retry::never, os_code); }

// Directly, because the C library's recv() and send() are cancellation points, which costs a process with threads two atomic
// operations a call for a feature that nobody here uses.
ssize_t receive(int descriptor, std::span<char> into) {
  return syscall(SYS_recvfrom, descriptor, into.data(), into.size(), 0, nullptr, nullptr);
}
ssize_t transmit(int descriptor, std::span<const char> bytes) {
  return syscall(SYS_sendto, descriptor, bytes.data(), bytes.size(), MSG_NOSIGNAL, nullptr, 0);
}

std::optional<sockaddr_un> unix_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) return std::nullopt;
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

// A socket whose process has gone without removing it.
bool is_stale_socket(const sockaddr_un& address) {
  struct stat status{};
  if (lstat(address.sun_path, &status) != 0 || !S_ISSOCK(status.st_mode)) return false;
  const int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (probe < 0) return false;
  const bool refused = ::connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 && errno == ECONNREFUSED;
  close(probe);
  return refused;
}

class EpollStream final : public Stream, public Pollable, public PoolAllocated {
 public:
  enum class Start : std::uint8_t { connected, connecting };

  EpollStream(EpollLoop& loop, int descriptor, Start start) : loop_(loop), descriptor_(descriptor) {
    if (start == Start::connected) set_ready();
  }

  ~EpollStream() override {
    if (watched()) loop_.remove(descriptor_, *this);
    if (reset_on_close_) {
      const linger immediately{.l_onoff = 1, .l_linger = 0};
      setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &immediately, sizeof immediately);
    }
    close(descriptor_);
  }

  Result<std::size_t> read(std::span<char> into) override {
    if (unwatchable_) [[unlikely]]
      return os_failure(ENOMEM);
    if (!is_readable()) return fail(ErrorKind::would_block);
    ssize_t got = 0;
    do {
      got = receive(descriptor_, into);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
      if (errno == EAGAIN) exhausted_read();
      return os_failure(errno);
    }
    // A short read has emptied the socket; what comes later raises an event. Once the peer has ended its stream no further
    // event will come, so then only the 0 at the end tells.
    if (static_cast<std::size_t>(got) < into.size() && !peer_ended()) exhausted_read();
    return static_cast<std::size_t>(got);
  }

  Result<std::size_t> write(std::span<const char> bytes) override {
    if (unwatchable_) [[unlikely]]
      return os_failure(ENOMEM);
    ssize_t sent = 0;
    do {
      sent = transmit(descriptor_, bytes);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0) {
      if (errno == EAGAIN) exhausted_write();
      return os_failure(errno);
    }
    if (static_cast<std::size_t>(sent) < bytes.size()) exhausted_write();
    return static_cast<std::size_t>(sent);
  }

  void shutdown_write() override { shutdown(descriptor_, SHUT_WR); }
  void reset_on_close() override { reset_on_close_ = true; }
  void break_off() override { shutdown(descriptor_, SHUT_RDWR); }
  [[nodiscard]] bool quiet() override {
    char byte = 0;
    return recv(descriptor_, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
  }
  [[nodiscard]] int descriptor() const override { return descriptor_; }

  Result<void> connect_result() override {
    if (unwatchable_) return os_failure(ENOMEM);
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(descriptor_, SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
    if (error != 0) return os_failure(error);
    return {};
  }

  void begin_events() override {
    // Without memory for it nobody would ever be woken: from now on every call fails, so that nobody needs to be.
    if (loop_.add(descriptor_, *this)) return;
    unwatchable_ = true;
    deliver({.readable = true, .writable = true, .peer_ended = false, .broken = false});
  }

  void on_events(std::uint32_t events) override {
    deliver({.readable = (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0,
             .writable = (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0,
             .peer_ended = (events & (EPOLLRDHUP | EPOLLHUP)) != 0,
             .broken = (events & (EPOLLHUP | EPOLLERR)) != 0});
  }

 private:
  EpollLoop& loop_;
  int descriptor_;
  bool reset_on_close_ = false;
  bool unwatchable_ = false;
};

class EpollListener final : public Listener, public Pollable {
 public:
  EpollListener(EpollLoop& loop, int descriptor) : loop_(loop), descriptor_(descriptor) {}
  ~EpollListener() override {
    loop_.remove(descriptor_, *this);
    close(descriptor_);
  }

  Result<Accepted> accept() override {
    sockaddr_storage peer{};
    socklen_t size = sizeof peer;
    int accepted = -1;
    do {
      accepted = accept4(descriptor_, reinterpret_cast<sockaddr*>(&peer), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
      // A connection that died in the queue (ECONNABORTED) is nobody's loss; the next one may be fine.
    } while (accepted < 0 && (errno == EINTR || errno == ECONNABORTED));
    if (accepted < 0) {
      if (errno == EAGAIN) ready_ = false;
      return os_failure(errno);
    }
    return Accepted{std::make_unique<EpollStream>(loop_, accepted, EpollStream::Start::connected), from_sockaddr(peer)};
  }

  [[nodiscard]] SocketAddress local_address() const override { return local_address_of(descriptor_); }
  void on_events(std::uint32_t /*events*/) override { deliver_ready(); }

 private:
  EpollLoop& loop_;
  int descriptor_;
};

}  // namespace

Result<std::unique_ptr<Stream>> EpollConnector::connect(const SocketAddress& to) {
  const int family = to.ip.is_v6() ? AF_INET6 : AF_INET;
  const int descriptor = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return os_failure(errno);
  auto stream = std::make_unique<EpollStream>(loop_, descriptor, EpollStream::Start::connecting);
  const int on = 1;
  setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  sockaddr_storage address{};
  const socklen_t size = to_sockaddr(to, address);
  if (::connect(descriptor, reinterpret_cast<const sockaddr*>(&address), size) != 0 && errno != EINPROGRESS) return os_failure(errno);
  return stream;
}

Result<std::unique_ptr<Stream>> EpollConnector::connect_to_path(const std::string& path) {
  const auto address = unix_address(path);
  if (!address) return os_failure(ENAMETOOLONG);
  const int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return os_failure(errno);
  // Before the stream knows it as connected, which it is at once or never.
  if (::connect(descriptor, reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0) {
    const int error = errno;
    close(descriptor);
    return os_failure(error);
  }
  return std::make_unique<EpollStream>(loop_, descriptor, EpollStream::Start::connected);
}

std::unique_ptr<Listener> make_listener(EpollLoop& loop, int descriptor) {
  auto listener = std::make_unique<EpollListener>(loop, descriptor);
  SY_ASSERT(loop.add(descriptor, *listener).has_value());
  return listener;
}

std::optional<int> exclusive_bind_error(const SocketAddress& address) {
  const int descriptor = socket(address.ip.is_v6() ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return errno;
  const int on = 1;
  setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_storage storage{};
  const socklen_t size = to_sockaddr(address, storage);
  const bool bound = bind(descriptor, reinterpret_cast<const sockaddr*>(&storage), size) == 0;
  const int error = errno;
  close(descriptor);
  return bound ? std::nullopt : std::optional(error);
}

Result<int> listen_on(const SocketAddress& address) {
  const int family = address.ip.is_v6() ? AF_INET6 : AF_INET;
  const int descriptor = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return os_failure(errno);
  const int on = 1;
  const int off = 0;
  setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // inherited by what is accepted
  // "[::]" takes IPv4 as well, whatever the machine's default is.
  if (family == AF_INET6) setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  sockaddr_storage storage{};
  const socklen_t size = to_sockaddr(address, storage);
  constexpr int backlog = 16'384;
  if (bind(descriptor, reinterpret_cast<const sockaddr*>(&storage), size) != 0 || ::listen(descriptor, backlog) != 0) {
    const int error = errno;
    close(descriptor);
    return os_failure(error);
  }
  return descriptor;
}

Result<int> listen_on_path(const std::string& path) {
  const auto address = unix_address(path);
  if (!address) return os_failure(ENAMETOOLONG);
  if (is_stale_socket(*address)) unlink(address->sun_path);
  const int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return os_failure(errno);
  // Before it has a name, so that there is no moment in which others could connect (Linux: bind() takes the mode over).
  constexpr int backlog = 128;
  if (fchmod(descriptor, S_IRUSR | S_IWUSR) != 0 || bind(descriptor, reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0 ||
      ::listen(descriptor, backlog) != 0) {
    const int error = errno;
    close(descriptor);
    return os_failure(error);
  }
  return descriptor;
}

// Only an address of this machine can be bound.
bool is_own_address(const IpAddress& ip) { return exclusive_bind_error({ip, 0}) != EADDRNOTAVAIL; }

SocketAddress local_address_of(int descriptor) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size);
  return from_sockaddr(address);
}

}  // namespace steelyard
