// At most `count` at once. Time plays no part: whatever was taken stays taken until it is given back. Pure. State: `low` how many there
// are.
#pragma once

#include <algorithm>

#include "decide/limit/state.hpp"

namespace steelyard::limit::concurrent {

constexpr Step take(const Rule& rule, State state, std::uint64_t cost) {
  const std::uint64_t room = rule.count - std::min(state.low, rule.count);
  if (cost > room) return {state, {.allowed = false, .remaining = room}};
  return {{state.low + cost, 0}, {.remaining = room - cost}};
}

constexpr State give_back(State state, std::uint64_t cost) { return {state.low - std::min(state.low, cost), 0}; }

}  // namespace steelyard::limit::concurrent
