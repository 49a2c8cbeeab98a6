// Round robin over a smooth schedule. The cursor is one atomic counter for all workers, so that turns alternate over the whole
// process and not only within a worker; it is the only thing here that changes. Relaxed, because it orders nothing but itself.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "decide/balance/candidate.hpp"
#include "decide/balance/smooth_schedule.hpp"

namespace steelyard::balance {

// The next turn; where that server was tried, the next turn of another one. The cursor moves by one whatever is skipped, so that
// the retries of one exchange do not shift the turns of the others.
inline std::optional<std::size_t> pick_round_robin(const Schedule& schedule, std::atomic<std::uint64_t>& cursor, Tried tried) {
  if (tried.size() >= schedule.servers) return std::nullopt;
  const std::size_t count = schedule.turns.size();
  std::size_t at = cursor.fetch_add(1, std::memory_order_relaxed) % count;
  for (std::size_t looked_at = 0; looked_at < count; ++looked_at) {
    const std::uint32_t server = schedule.turns[at];
    if (!contains(tried, server)) return server;
    at = at + 1 == count ? 0 : at + 1;
  }
  return std::nullopt;
}

}  // namespace steelyard::balance
