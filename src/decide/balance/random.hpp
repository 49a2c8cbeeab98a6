// The less busy of two servers drawn by weight (Mitzenmacher, The Power of Two Choices in Randomized Load Balancing, 2001): nearly
// as even as looking at all, at the price of looking at two. No server is preferred for long on old knowledge. Pure.
#pragma once

#include <optional>

#include "base/prng.hpp"
#include "decide/balance/search.hpp"
#include "decide/balance/weighted_load.hpp"

namespace steelyard::balance {

inline constexpr int random_draws_max = 4;
inline constexpr std::size_t random_turns_max = 16;

// A server by weight that `wanted` accepts. Where chance finds none, as beside a server that has nearly all turns, a few turns that
// follow the last one drawn.
template <typename Wanted>
std::optional<std::size_t> draw_by_weight(const Schedule& schedule, Prng& prng, const Wanted& wanted) {
  std::uint64_t turn = 0;
  for (int draws = 0; draws < random_draws_max; ++draws) {
    turn = prng.below(schedule.turns.size());
    if (wanted(schedule.turns[turn])) return schedule.turns[turn];
  }
  return search_turns(schedule, turn + 1, random_turns_max, wanted);
}

// Of two different servers the one with fewer exchanges under way for its weight; of equal ones the first, which keeps the shares
// of idle servers. Where hardly any may be taken, whoever may.
template <SnapshotView View>
std::optional<std::size_t> pick_random(const Schedule& schedule, Prng& prng, const View& view) {
  if (schedule.turns.empty()) return std::nullopt;
  const auto first = draw_by_weight(schedule, prng, [&](std::size_t server) { return eligible(view, server); });
  if (!first) return search_turns(schedule, prng.below(schedule.turns.size()), view);
  if (schedule.servers == 1) return first;
  const auto second = draw_by_weight(schedule, prng, [&](std::size_t server) { return server != *first && eligible(view, server); });
  return second && weighted_load(view, *second) < weighted_load(view, *first) ? second : first;
}

}  // namespace steelyard::balance
