// `count` in a period that begins with its first request; then the next request begins another. Over the border of two periods up to
// twice the count may come in less than one: who minds has sliding_window. Pure. State: `low` when the window began, `high` what was
// counted in it.
#pragma once

#include <algorithm>

#include "decide/limit/state.hpp"

namespace steelyard::limit::fixed_window {

// How long the window lasts yet; 0: it is over. One that began in the future, by a clock that is ahead of this one, begins now.
constexpr Duration left(const Rule& rule, State state, Instant now) {
  if (state == State{}) return Duration{0};
  const Duration age = std::max(now - Instant{static_cast<std::int64_t>(state.low)}, Duration{0});
  return std::max(rule.period - age, Duration{0});
}

constexpr Step take(const Rule& rule, State state, Instant now, std::uint64_t cost) {
  const Duration lasts = left(rule, state, now);
  const std::uint64_t used = lasts.count() == 0 ? 0 : state.high;
  const std::uint64_t room = rule.count - std::min(used, rule.count);
  if (cost > room) {
    const Duration retry = cost > rule.count ? rule.period : lasts;
    return {state, {.allowed = false, .remaining = room, .retry_after = retry, .reset = lasts}};
  }
  if (cost == 0) return {state, {.remaining = room, .reset = lasts}};
  const auto began = lasts.count() == 0 ? static_cast<std::uint64_t>(now.ns) : state.low;
  return {{began, static_cast<std::uint32_t>(used + cost)}, {.remaining = room - cost, .reset = lasts.count() == 0 ? rule.period : lasts}};
}

// Only into the window that it was taken out of. One out of which everything was given back never began.
constexpr State give_back(const Rule& rule, State state, Instant taken_at, std::uint64_t cost) {
  const Instant began{static_cast<std::int64_t>(state.low)};
  if (taken_at < began || taken_at - began >= rule.period) return state;
  if (cost >= state.high) return {};
  return {state.low, state.high - static_cast<std::uint32_t>(cost)};
}

}  // namespace steelyard::limit::fixed_window
