#include "session/connection_limits.hpp"

namespace steelyard {
namespace {

bool limits_clients(const ConnectionOptions& options) { return options.connections_per_client_max < options.connections_max; }

}  // namespace

std::optional<Limit> ConnectionLimits::enter(const IpAddress& client) {
  std::optional<Limit> over;
  if (limits_clients(options_)) {
    const std::lock_guard lock(mutex_);
    if (++by_client_[client] > options_.connections_per_client_max) over = Limit::connections_per_client;
  }
  if (total_.fetch_add(1, std::memory_order_relaxed) >= options_.connections_max) over = Limit::connections;
  return over;
}

void ConnectionLimits::leave(const IpAddress& client) {
  total_.fetch_sub(1, std::memory_order_relaxed);
  if (!limits_clients(options_)) return;
  const std::lock_guard lock(mutex_);
  const auto found = by_client_.find(client);
  if (--found->second == 0) by_client_.erase(found);
}

}  // namespace steelyard
