#include "upstream/server.hpp"

#include <utility>

#include <fmt/format.h>

#include "decide/balance/candidate.hpp"

namespace steelyard {

Server::Server(const ServerOptions& options, const SocketAddress& resolved, std::uint32_t position)
    : id(options.id),
      authority(fmt::format("{}:{}", options.host, options.port)),
      address(resolved),
      weight(options.weight),
      id_hash(balance::hash_id(options.id)),
      labels(options.labels),
      slot(position) {}

HealthState Server::health() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

void Server::set_health(Health health, std::string reason, std::int64_t unix_s) {
  const std::lock_guard lock(mutex_);
  state_ = {health, std::move(reason), unix_s};
  health_.store(health, std::memory_order_relaxed);
}

}  // namespace steelyard
