#include "session/connection_limits.hpp"

namespace steelyard {

void ConnectionLimits::configure(const ConnectionOptions& options) {
  connections_max_.store(options.connections_max, std::memory_order_relaxed);
  per_client_max_.store(options.connections_per_client_max, std::memory_order_relaxed);
  if (options.connections_per_client_max < options.connections_max) counts_clients_.store(true, std::memory_order_relaxed);
}

std::optional<Limit> ConnectionLimits::enter(const IpAddress& client) {
  std::optional<Limit> over;
  if (counts_clients_.load(std::memory_order_relaxed)) {
    const std::lock_guard lock(mutex_);
    if (++by_client_[client] > per_client_max_.load(std::memory_order_relaxed)) over = Limit::connections_per_client;
  }
  if (total_.fetch_add(1, std::memory_order_relaxed) >= connections_max_.load(std::memory_order_relaxed)) over = Limit::connections;
  return over;
}

void ConnectionLimits::leave(const IpAddress& client) {
  total_.fetch_sub(1, std::memory_order_relaxed);
  if (!counts_clients_.load(std::memory_order_relaxed)) return;
  const std::lock_guard lock(mutex_);
  const auto found = by_client_.find(client);
  // One that began before clients were counted is not there.
  if (found != by_client_.end() && --found->second == 0) by_client_.erase(found);
}

}  // namespace steelyard
