#include "app/listeners.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

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

void close_all(std::vector<int>& descriptors) {
  for (const int descriptor : std::exchange(descriptors, {})) {
    if (descriptor >= 0) close(descriptor);
  }
}

std::expected<void, std::string> bind_all(Listeners::Open& listener, std::uint32_t workers) {
  listener.address = listener.options.bind;
  for (std::uint32_t i = 0; i < workers; ++i) {
    const auto descriptor = listen_on(listener.address);
    if (!descriptor) {
      close_all(listener.descriptors);
      return std::unexpected(bind_failure(listener.address, descriptor.error().os_code));
    }
    listener.address = local_address_of(*descriptor);  // what port 0 became is shared by all workers
    listener.descriptors.push_back(*descriptor);
  }
  return {};
}

}  // namespace

Listeners::~Listeners() {
  for (Open& listener : open_) close_all(listener.descriptors);
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
    Open listener{.options = options, .address = {}, .id = ++last_id_, .descriptors = {}};
    // Beside a socket of our own on the same port, one on all addresses say, the question would only find that.
    const bool ours = std::ranges::any_of(open_, [&](const Open& open) { return open.address.port == options.bind.port; });
    const auto taken = ours ? std::nullopt : port_taken(options.bind);
    const auto bound = taken ? std::unexpected(bind_failure(options.bind, *taken)) : bind_all(listener, workers_);
    if (!bound) {
      discard(std::move(change));
      return std::unexpected(bound.error());
    }
    change.opened.push_back(listener.id);
    change.open.push_back(std::move(listener));
  }
  change.closed = std::move(left);
  return change;
}

void Listeners::discard(Change change) {
  for (Open& listener : change.open) {
    if (std::ranges::find(change.opened, listener.id) != change.opened.end()) close_all(listener.descriptors);
  }
}

std::vector<ListeningSocket> Listeners::hand_over(std::uint32_t worker) {
  std::vector<ListeningSocket> sockets;
  for (Open& listener : open_) {
    if (worker >= listener.descriptors.size() || listener.descriptors[worker] < 0) continue;
    sockets.push_back(
        {std::exchange(listener.descriptors[worker], -1), listener.id, listener.options.status_pages ? StatusPages::on : StatusPages::off});
  }
  return sockets;
}

}  // namespace steelyard
