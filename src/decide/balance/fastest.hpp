// Of two servers drawn by weight, the one that promises the sooner answer: the peak-sensitive average of its latency, times the
// exchanges that it would then have, for its weight (two choices: Mitzenmacher 2001; the average: Finagle's P2C balancer). Pure; its
// cost does not depend on the size of the pool.
#pragma once

#include <cstddef>
#include <optional>

#include "base/prng.hpp"
#include "decide/balance/random.hpp"

namespace steelyard::balance {

namespace fastest {

template <SnapshotView View>
float cost(const View& view, std::size_t position, float latency_us, Instant now) {
  const float exchanges = static_cast<float>(view.active(position)) + 1;
  return latency_us * (1 + failure_cost * view.estimate(position).failures(now)) * exchanges / static_cast<float>(view.weight(position));
}

}  // namespace fastest

template <SnapshotView View>
std::optional<std::size_t> pick_fastest(const Schedule& schedule, Prng& prng, const View& view, Instant now) {
  if (schedule.turns.empty()) return std::nullopt;
  const auto one = draw_by_weight(schedule, prng, [&](std::size_t server) { return eligible(view, server); });
  if (!one) return search_turns(schedule, prng.below(schedule.turns.size()), view);
  const auto two = draw_by_weight(schedule, prng, [&](std::size_t server) { return server != *one && eligible(view, server); });
  if (!two) return one;

  // One that has not answered yet is taken to be as fast as the other.
  float one_us = view.estimate(*one).peak_us(now);
  float two_us = view.estimate(*two).peak_us(now);
  if (one_us == 0) one_us = two_us == 0 ? 1 : two_us;
  if (two_us == 0) two_us = one_us;
  return fastest::cost(view, *two, two_us, now) < fastest::cost(view, *one, one_us, now) ? two : one;
}

}  // namespace steelyard::balance
