// The searches that algorithms share, each of which ends: over positions and over the turns of a schedule.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>

#include "decide/balance/smooth_schedule.hpp"
#include "decide/balance/view.hpp"

namespace steelyard::balance {

template <SnapshotView View>
bool eligible(const View& view, std::size_t position) {
  return view.may_take(position) && view.weight(position) != 0;
}

// The first wanted position from `start` on, which may be any number, and round to it again.
template <SnapshotView View, typename Wanted>
std::optional<std::size_t> search_positions(const View& view, std::uint64_t start, const Wanted& wanted) {
  const std::size_t size = view.size();
  if (size == 0) return std::nullopt;
  std::size_t at = start % size;
  for (std::size_t looked_at = 0; looked_at < size; ++looked_at) {
    if (wanted(at)) return at;
    at = at + 1 == size ? 0 : at + 1;
  }
  return std::nullopt;
}

template <SnapshotView View>
std::optional<std::size_t> search_positions(const View& view, std::uint64_t start) {
  return search_positions(view, start, [&](std::size_t position) { return eligible(view, position); });
}

// The first wanted server among at most `turns_max` turns from `start` on.
template <typename Wanted>
std::optional<std::size_t> search_turns(const Schedule& schedule, std::uint64_t start, std::size_t turns_max, const Wanted& wanted) {
  const std::size_t count = schedule.turns.size();
  if (count == 0) return std::nullopt;
  std::size_t at = start % count;
  for (std::size_t looked_at = 0; looked_at < std::min(turns_max, count); ++looked_at) {
    if (const std::size_t server = schedule.turns[at]; wanted(server)) return server;
    at = at + 1 == count ? 0 : at + 1;
  }
  return std::nullopt;
}

// The next turn from `start` on whose server may be taken.
template <SnapshotView View>
std::optional<std::size_t> search_turns(const Schedule& schedule, std::uint64_t start, const View& view) {
  const auto wanted = [&](std::size_t position) { return eligible(view, position); };
  if (const auto soon = search_turns(schedule, start, view.size(), wanted)) return soon;
  // A schedule may have many more turns than servers. Where all servers are full, each pick would go through all of them.
  if (schedule.turns.size() <= view.size() || !search_positions(view, 0)) return std::nullopt;
  return search_turns(schedule, start, schedule.turns.size(), wanted);
}

}  // namespace steelyard::balance
