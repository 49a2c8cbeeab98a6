// Rules and instants for the tests of limits, out of a seeded generator: small ones where borders are met often, and the largest that
// there may be.
#pragma once

#include <algorithm>
#include <ostream>

#include "base/prng.hpp"
#include "decide/limit/check.hpp"

namespace steelyard::limit {

inline std::ostream& operator<<(std::ostream& out, const Rule& rule) {
  return out << name(rule.kind) << " count=" << rule.count << " period=" << rule.period.count() << "ns burst=" << rule.burst;
}

inline constexpr Kind timed_kinds[] = {Kind::token_bucket, Kind::fixed_window, Kind::sliding_window, Kind::bandwidth};

inline std::uint64_t any_count(Prng& chance) {
  constexpr std::uint64_t notable[] = {1, 2, 3, 5, 7, 100, 255, 256, 257, 1000, 65'535, 65'536, 1'000'003, count_max};
  return chance.chance(0.7) ? notable[chance.below(std::size(notable))] : 1 + chance.below(chance.chance(0.5) ? 20 : count_max);
}

inline Duration any_period(Prng& chance) {
  constexpr Duration notable[] = {period_min, 1s, 60s, 1h, period_max, Duration{1'000'000'007}};
  return chance.chance(0.7) ? notable[chance.below(std::size(notable))]
                            : period_min + Duration{static_cast<std::int64_t>(chance.below(static_cast<std::uint64_t>(1h / 1ns)))};
}

inline Rule any_rule(Prng& chance, Kind kind) {
  for (;;) {
    const Rule rule{.kind = kind, .count = any_count(chance), .period = any_period(chance), .burst = any_count(chance)};
    if (!problem(rule)) return rule;
  }
}

// Mostly one of few, so that limits are reached; now and then all that is allowed, or more.
inline std::uint64_t any_cost(Prng& chance, const Rule& rule) {
  const std::uint64_t most = rule.kind == Kind::token_bucket || rule.kind == Kind::bandwidth ? rule.burst : rule.count;
  if (chance.chance(0.02)) return most + 1;
  if (most < 50 || chance.chance(0.2)) return 1;
  return 1 + chance.below(chance.chance(0.2) ? most : std::max<std::uint64_t>(most / 8, 1));
}

// Where something happens: at once, a nanosecond around the borders that the verdict speaks of, a little or a long time later.
inline Duration any_step(Prng& chance, const Rule& rule, const Verdict& last) {
  const auto up_to = [&](Duration most) {
    return Duration{static_cast<std::int64_t>(chance.below(static_cast<std::uint64_t>(most.count()) + 1))};
  };
  switch (chance.below(10)) {
    case 0: return Duration{0};
    case 1: return Duration{1};
    case 2: return last.retry_after;
    case 3: return std::max(last.retry_after - Duration{1}, Duration{0});
    case 4: return last.reset;
    case 5: return chance.chance(0.05) ? 50 * 24h : up_to(rule.period * 3);
    case 6: return up_to(rule.period / 6);
    default: return up_to(rule.period / static_cast<std::int64_t>(std::min<std::uint64_t>(rule.count, 100)));
  }
}

}  // namespace steelyard::limit
