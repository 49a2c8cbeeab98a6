// Round robin over a smooth schedule. The cursor is one atomic counter for all workers, so that turns alternate over the whole
// process and not only within a worker; it is the only thing here that changes. Relaxed, because it orders nothing but itself.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "decide/balance/search.hpp"

namespace steelyard::balance {

// The next turn whose server may be taken. The cursor moves by one whatever is skipped, so that the retries of one exchange do not
// shift the turns of the others.
template <SnapshotView View>
std::optional<std::size_t> pick_round_robin(const Schedule& schedule, std::atomic<std::uint64_t>& cursor, const View& view) {
  return search_turns(schedule, cursor.fetch_add(1, std::memory_order_relaxed), view);
}

}  // namespace steelyard::balance
