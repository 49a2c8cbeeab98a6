#include "app/listeners.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "observe/message.hpp"

namespace steelyard {
namespace {

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

void close_all(std::vector<Listeners::Socket>& sockets) {
  for (const Listeners::Socket& socket : std::exchange(sockets, {})) {
    if (!socket.taken) close(socket.descriptor);
  }
}

}  // namespace

Listeners::~Listeners() {
  for (Open& listener : open_) close_all(listener.sockets);
  for (const InheritedSocket& socket : inherited_) close(socket.descriptor);
}

std::expected<Listeners::Change, std::string> Listeners::prepare(const std::vector<ListenerOptions>& wanted) {
  Change change;
  std::vector<Open> left = open_;
  for (const ListenerOptions& options : wanted) {
    const auto known = std::ranges::find_if(left, [&](const Open& open) { return open.options.bind == options.bind; });
    if (known != left.end()) {
      change.open.push_back(std::move(*known));
      change.open.back().options = options;
      left.erase(known);
      continue;
    }
    Open listener{.options = options, .address = {}, .id = ++last_id_, .sockets = {}};
    if (const auto opened = open_sockets(listener); !opened) {
      close_all(listener.sockets);
      discard(std::move(change));
      return std::unexpected(opened.error());
    }
    change.opened.push_back(listener.id);
    change.open.push_back(std::move(listener));
  }
  change.closed = std::move(left);
  return change;
}

void Listeners::discard(Change change) {
  for (Open& listener : change.open) {
    if (std::ranges::find(change.opened, listener.id) != change.opened.end()) close_all(listener.sockets);
  }
}

// Each inherited socket has connections that wait to be accepted, so none is left out: where there are more than workers, some workers
// have several.
std::expected<void, std::string> Listeners::open_sockets(Open& listener) {
  const SocketAddress& bind = listener.options.bind;
  std::vector<int> there = take_inherited(bind);
  listener.address = there.empty() ? bind : local_address_of(there.front());
  std::uint32_t worker = 0;
  for (const int descriptor : there) listener.sockets.push_back({descriptor, worker++ % workers_});
  // Beside a socket of our own on the same port, one on all addresses say, the question would only find that.
  const bool ours = !there.empty() || std::ranges::any_of(open_, [&](const Open& open) { return open.address.port == bind.port; }) ||
                    std::ranges::any_of(inherited_, [&](const auto& each) { return local_address_of(each.descriptor).port == bind.port; });
  if (const auto taken = ours ? std::nullopt : port_taken(bind)) return std::unexpected(bind_failure(bind, *taken));
  for (; worker < workers_; ++worker) {
    auto descriptor = listen_on(listener.address);
    // One that somebody else has made lets nobody beside it: then the workers share it.
    if (!descriptor && !there.empty()) descriptor = fcntl(there.front(), F_DUPFD_CLOEXEC, 0);
    if (descriptor && *descriptor < 0) descriptor = fail(ErrorKind::resources, Side::local, Retry::never, errno);
    if (!descriptor) return std::unexpected(bind_failure(listener.address, descriptor.error().os_code));
    listener.address = local_address_of(*descriptor);  // what port 0 became is shared by all workers
    listener.sockets.push_back({*descriptor, worker});
  }
  return {};
}

// By the address as it was configured, which tells two listeners on port 0 apart by their order; else by the socket's own.
std::vector<int> Listeners::take_inherited(const SocketAddress& bind) {
  auto found = std::ranges::find(inherited_, bind.to_string(), &InheritedSocket::bind);
  if (found == inherited_.end()) {
    found = std::ranges::find_if(inherited_, [&](const auto& each) { return local_address_of(each.descriptor) == bind; });
  }
  std::vector<int> descriptors;
  if (found == inherited_.end()) return descriptors;
  const std::uint32_t listener = found->listener;
  std::erase_if(inherited_, [&](const InheritedSocket& socket) {
    if (socket.listener != listener) return false;
    descriptors.push_back(socket.descriptor);
    return true;
  });
  return descriptors;
}

void Listeners::adopt(Change change) {
  open_ = std::move(change.open);
  for (const InheritedSocket& socket : std::exchange(inherited_, {})) {
    log_message(LogLevel::info, "no listener is configured for the inherited socket on {}: closing it",
                local_address_of(socket.descriptor).to_string());
    close(socket.descriptor);
  }
}

std::vector<ListeningSocket> Listeners::hand_over(std::uint32_t worker) {
  std::vector<ListeningSocket> sockets;
  for (Open& listener : open_) {
    for (Socket& socket : listener.sockets) {
      if (socket.worker != worker || std::exchange(socket.taken, true)) continue;
      sockets.push_back({socket.descriptor, listener.id, role_of(listener.options)});
    }
  }
  return sockets;
}

std::vector<InheritedSocket> Listeners::sockets() const {
  std::vector<InheritedSocket> sockets;
  for (const Open& listener : open_) {
    for (const Socket& socket : listener.sockets) sockets.push_back({listener.options.bind.to_string(), listener.id, socket.descriptor});
  }
  return sockets;
}

}  // namespace steelyard
