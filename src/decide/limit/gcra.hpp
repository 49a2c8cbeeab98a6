// The arithmetic of buckets (generic cell rate algorithm, ITU-T I.371 Annex A): a key owes the time that its requests take at the
// rule's rate, and time pays it off. The state is the instant when everything will be paid: `low` has its nanoseconds and `high` the
// rest in parts of 1/count of one, so that nothing is ever rounded, whatever the count. Pure.
#pragma once

#include <algorithm>

#include "decide/limit/state.hpp"

namespace steelyard::limit::gcra {

// Nanoseconds in parts of 1/count. One request costs `period` of them. 64 bits of costs in the longest period take 116 bits.
__extension__ using Parts = unsigned __int128;

// Most fit into 64 bits, where a division is five times as fast.
constexpr Parts divided(Parts a, std::uint64_t b) { return a >> 64U == 0 ? static_cast<std::uint64_t>(a) / b : a / b; }

constexpr Parts price(const Rule& rule, std::uint64_t cost) { return Parts{cost} * static_cast<std::uint64_t>(rule.period.count()); }

constexpr Parts owed(const Rule& rule, State state, Instant now) {
  const auto now_ns = static_cast<std::uint64_t>(now.ns);
  if (state.low < now_ns) return 0;
  // Another count may have left more parts than a nanosecond has now.
  return Parts{state.low - now_ns} * rule.count + std::min<std::uint64_t>(state.high, rule.count - 1);
}

constexpr State state_of(const Rule& rule, Parts owed, Instant now) {
  if (owed == 0) return {};
  const Parts paid_ns = static_cast<std::uint64_t>(now.ns) + divided(owed, rule.count);
  if (paid_ns >= static_cast<std::uint64_t>(INT64_MAX)) return {INT64_MAX, 0};
  const auto whole_ns = static_cast<std::uint64_t>(paid_ns);
  return {whole_ns, static_cast<std::uint32_t>(owed - Parts{whole_ns - static_cast<std::uint64_t>(now.ns)} * rule.count)};
}

// Rounded up: whoever waits as long as he is told is let in.
constexpr Duration duration(const Rule& rule, Parts owed) {
  const Parts ns = divided(owed + (rule.count - 1), rule.count);
  return Duration{ns > static_cast<std::uint64_t>(INT64_MAX) ? INT64_MAX : static_cast<std::int64_t>(ns)};
}

constexpr Duration until_paid(State state, Instant now) {
  const auto now_ns = static_cast<std::uint64_t>(now.ns);
  if (state.low < now_ns) return Duration{0};
  const std::uint64_t ns = state.low - now_ns + (state.high != 0 ? 1 : 0);
  return Duration{static_cast<std::int64_t>(std::min<std::uint64_t>(ns, INT64_MAX))};
}

// What was earned back in the meantime is given back all the same: whoever gives back later than period/count after taking may
// get that much more out of the burst, never more than the burst.
constexpr State give_back(const Rule& rule, State state, Instant taken_at, std::uint64_t cost) {
  const Parts before = owed(rule, state, taken_at);
  const Parts back = price(rule, cost);
  return state_of(rule, before > back ? before - back : 0, taken_at);
}

}  // namespace steelyard::limit::gcra
