// `count` bytes a period. Bytes that have arrived cannot be refused, so everything is allowed, and whoever is more than `burst` ahead
// of the rate is told how long to wait before going on. Pure; the state is that of gcra.hpp.
#pragma once

#include "decide/limit/gcra.hpp"

namespace steelyard::limit::bandwidth {

constexpr Step take(const Rule& rule, State state, Instant now, std::uint64_t cost) {
  const gcra::Parts full = gcra::price(rule, rule.burst);
  const gcra::Parts after = gcra::owed(rule, state, now) + gcra::price(rule, cost);
  const State taken = cost == 0 ? state : gcra::state_of(rule, after, now);
  Verdict verdict;
  if (after > full) {
    verdict.retry_after = gcra::duration(rule, after - full);
  } else {
    verdict.remaining = static_cast<std::uint64_t>(gcra::divided(full - after, static_cast<std::uint64_t>(rule.period.count())));
  }
  verdict.reset = gcra::until_paid(taken, now);
  return {taken, verdict};
}

}  // namespace steelyard::limit::bandwidth
