// The server with the fewest exchanges under way for its weight. Those that are equal get their turns by weight. Small pools are
// looked at whole. In large ones each worker remembers the smallest load of blocks of servers, so that a pick looks at about the
// square root of them: at the best block again, because others have chosen since, and at one block in rotation, so that what
// became idle elsewhere is seen soon. Pure, but for the memory that the caller keeps.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "decide/balance/least_connections_memory.hpp"
#include "decide/balance/round_robin.hpp"

namespace steelyard::balance {

inline constexpr std::size_t idle_turns_max = 4;       // looked at for a server without exchanges
inline constexpr std::size_t scanned_whole_max = 128;  // servers
inline constexpr int best_blocks_max = 3;              // looked at in one pick

template <SnapshotView View>
Lightest lightest_of(const View& view, std::size_t begin, std::size_t end) {
  Lightest lightest;
  for (std::size_t i = begin; i < end; ++i) {
    const WeightedLoad load = weighted_load(view, i);
    if (load.weight != 0 && view.may_take(i)) lightest.join({.load = load, .tied = load.weight, .first = i});
  }
  return lightest;
}

// Of those before `end` that share the smallest load, the one whose turn it is among their weights.
template <SnapshotView View>
std::optional<std::size_t> take_turn(const View& view, const Lightest& lightest, std::size_t end, std::uint64_t turn) {
  if (lightest.tied == 0) return std::nullopt;
  for (std::size_t i = lightest.first; i < end; ++i) {
    const WeightedLoad load = weighted_load(view, i);
    if (load.weight == 0 || load != lightest.load || !view.may_take(i)) continue;
    if (turn < load.weight) return i;
    turn -= load.weight;
  }
  return lightest.first;  // other workers have chosen since the scan
}

template <SnapshotView View>
std::optional<std::size_t> pick_from_all(std::uint64_t fraction, const View& view) {
  const Lightest lightest = lightest_of(view, 0, view.size());
  return take_turn(view, lightest, view.size(), share_of(fraction, lightest.tied));
}

template <SnapshotView View>
std::optional<std::size_t> pick_from_blocks(LeastConnectionsMemory& memory, std::uint64_t fraction, const View& view) {
  const auto look = [&](std::size_t block) { memory[block] = lightest_of(view, memory.begin(block), memory.end(block)); };
  if (memory.resize(view.size())) {
    for (std::size_t block = 0; block < memory.blocks(); ++block) look(block);
  }

  std::size_t best = memory.rotate();
  std::uint64_t turn = 0;
  look(best);
  for (int looks = 0; looks < best_blocks_max; ++looks) {
    const auto place = memory.lightest(fraction);
    const WeightedLoad remembered = memory[place.block].load;
    look(place.block);
    if (memory[place.block].load <= memory[best].load) {
      best = place.block;
      turn = place.turn;
    }
    if (memory[place.block].load <= remembered) break;
  }
  return take_turn(view, memory[best], memory.end(best), turn % std::max<std::uint64_t>(memory[best].tied, 1));
}

// `memory` is the worker's for this pool; `cursor` is shared by all of them, as in pick_round_robin().
template <SnapshotView View>
std::optional<std::size_t> pick_least_connections(const Schedule& schedule, std::atomic<std::uint64_t>& cursor,
                                                  LeastConnectionsMemory& memory, const View& view) {
  // Nobody has fewer exchanges than a server without any.
  std::size_t in_turn = 0;
  WeightedLoad in_turn_load;
  for (std::size_t turn = 0; turn < std::min(view.size() / 8 + 1, idle_turns_max); ++turn) {
    const auto next = pick_round_robin(schedule, cursor, view);
    if (!next) return std::nullopt;
    const WeightedLoad load = weighted_load(view, *next);
    if (load.active == 0) return next;
    if (turn != 0 && load >= in_turn_load) continue;
    in_turn = *next;
    in_turn_load = load;
  }
  const std::uint64_t fraction = evenly_spread(cursor.load(std::memory_order_relaxed));
  const auto chosen = view.size() <= scanned_whole_max ? pick_from_all(fraction, view) : pick_from_blocks(memory, fraction, view);
  // What is remembered of blocks may be worse than those whose turn it was.
  return chosen && weighted_load(view, *chosen) <= in_turn_load ? *chosen : in_turn;
}

}  // namespace steelyard::balance
