#include "upstream/server.hpp"

#include <fmt/format.h>

#include <utility>

#include "decide/balance/hashed_server.hpp"

namespace steelyard {

Server::Server(const ServerOptions& options, const SocketAddress& resolved, std::uint32_t position, std::uint32_t most)
    : id(options.id),
      authority(fmt::format("{}:{}", options.host, options.port)),
      address(resolved),
      weight(options.weight),
      backup(options.backup),
      active_max(most),
      id_hash(balance::hash_id(options.id)),
      labels(options.labels),
      slot(position) {}

bool Server::begin_exchange() {
  if (active_max == active_unlimited) {
    load.active.fetch_add(1, std::memory_order_relaxed);
    return true;
  }
  std::uint32_t active = load.active.load();
  while (active < active_max) {
    if (load.active.compare_exchange_weak(active, active + 1)) return true;
  }
  return false;
}

void Server::hold(Hold hold, std::string reason, std::int64_t unix_s) {
  const std::lock_guard lock(mutex_);
  Note& note = notes_[static_cast<std::size_t>(hold)];
  if (!held(bit(hold))) note.since_unix_s = unix_s;
  note.reason = std::move(reason);
  load.holds.fetch_or(bit(hold), std::memory_order_relaxed);
}

void Server::release(Hold hold, std::string_view why, std::int64_t unix_s) {
  const std::lock_guard lock(mutex_);
  if (!held(bit(hold))) return;
  load.holds.fetch_and(static_cast<Holds>(~bit(hold)), std::memory_order_relaxed);
  well_ = {std::string(why), unix_s};
}

void Server::set_health(Health health, std::string reason, std::int64_t unix_s) {
  health_.store(health, std::memory_order_relaxed);
  if (health == Health::unhealthy) {
    hold(Hold::unhealthy, std::move(reason), unix_s);
    return;
  }
  release(Hold::unhealthy, reason, unix_s);
  const std::lock_guard lock(mutex_);
  if (well_.since_unix_s == 0) well_ = {std::move(reason), unix_s};
}

// What keeps it from traffic most firmly comes first.
Standing Server::standing() const {
  static constexpr std::array<std::string_view, hold_count> states{"unhealthy", "unchecked", "draining", "ejected", "unreachable"};
  const std::lock_guard lock(mutex_);
  for (std::size_t i = 0; i < hold_count; ++i) {
    if (held(bit(static_cast<Hold>(i)))) return {states[i], notes_[i].reason, notes_[i].since_unix_s};
  }
  const std::string_view state = load.warm_since_ns.load(std::memory_order_relaxed) != 0 ? "warming"
                                 : health() == Health::healthy                           ? "healthy"
                                                                                         : "unknown";
  return {state, well_.reason, well_.since_unix_s};
}

}  // namespace steelyard
