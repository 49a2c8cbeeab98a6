// The order in which servers of different weights get their turns, worked out once for a snapshot, so that a pick is one look into
// a table. Each server's turns are spread as evenly as whole turns can be: at any point of the schedule, also when it is repeated,
// a server is less than one turn away from its exact share. Pure; immutable once made.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace steelyard::balance {

inline constexpr std::size_t schedule_turns_max = 65'536;

struct Schedule {
  std::vector<std::uint32_t> turns;  // positions of servers
  std::size_t servers = 0;           // that have a turn
};

// A weight of 0 has no turn, every other at least one. Weights are divided by what they have in common; where their sum is still
// above schedule_turns_max (or the number of servers, if that is more), they are scaled down to it, which rounds their ratios.
Schedule smooth_schedule(std::span<const std::uint32_t> weights);

}  // namespace steelyard::balance
