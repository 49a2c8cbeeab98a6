// `count` a period, evenly, and up to `burst` at once out of what was not used. In any span of time t at most burst + t*count/period
// are allowed. Pure; the state is that of gcra.hpp.
#pragma once

#include <algorithm>

#include "decide/limit/gcra.hpp"

namespace steelyard::limit::token_bucket {

// So far a thread's clock may be behind another's.
inline constexpr Duration clock_lag_max = 1s;

constexpr Step take(const Rule& rule, State state, Instant now, std::uint64_t cost) {
  const gcra::Parts full = gcra::price(rule, rule.burst);
  // More is owed only after the rule was changed, or by a clock that is behind: the bucket is empty then, and nothing worse.
  const gcra::Parts owed = gcra::owed(rule, state, now);
  const gcra::Parts before = std::min(owed, full);
  const gcra::Parts after = before + gcra::price(rule, cost);
  const auto period_ns = static_cast<std::uint64_t>(rule.period.count());
  if (after > full) {
    Verdict refused{.allowed = false, .remaining = static_cast<std::uint64_t>(gcra::divided(full - before, period_ns))};
    refused.retry_after = cost > rule.burst ? rule.period : gcra::duration(rule, after - full);
    refused.reset = gcra::duration(rule, before);
    // What another rule has left is forgiven; what only this clock sees is not.
    const bool of_another_rule = owed > full + gcra::Parts{static_cast<std::uint64_t>(clock_lag_max.count())} * rule.count;
    return {of_another_rule ? gcra::state_of(rule, full, now) : state, refused};
  }
  const State taken = cost == 0 ? state : gcra::state_of(rule, after, now);
  Verdict allowed{.remaining = static_cast<std::uint64_t>(gcra::divided(full - after, period_ns))};
  allowed.reset = gcra::until_paid(taken, now);
  return {taken, allowed};
}

}  // namespace steelyard::limit::token_bucket
