// Of two servers drawn by weight, the one that promises the sooner answer: the peak-sensitive average of its latency, times the
// exchanges that it would then have, for its weight (two choices: Mitzenmacher 2001; the average: Finagle's P2C balancer). Pure; its
// cost does not depend on the size of the pool.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/prng.hpp"
#include "decide/balance/smooth_schedule.hpp"
#include "decide/balance/view.hpp"

namespace steelyard::balance {

namespace fastest {

// Turns that are drawn in search of two servers that may be taken, before all are looked at.
inline constexpr std::size_t draws_max = 16;

template <SnapshotView View>
bool may_take(const View& view, std::size_t position) {
  return view.weight(position) != 0 && view.may_take(position);
}

// One that may be taken and is not `other`.
template <SnapshotView View>
std::optional<std::size_t> draw(const Schedule& schedule, Prng& prng, const View& view, std::optional<std::size_t> other) {
  const auto fits = [&](std::size_t position) { return position != other && may_take(view, position); };
  for (std::size_t draws = 0; draws < draws_max; ++draws) {
    const std::size_t position = schedule.turns[prng.below(schedule.turns.size())];
    if (fits(position)) return position;
  }
  const std::size_t begin = prng.below(view.size());
  for (std::size_t i = 0; i < view.size(); ++i) {
    if (const std::size_t position = (begin + i) % view.size(); fits(position)) return position;
  }
  return std::nullopt;
}

template <SnapshotView View>
float cost(const View& view, std::size_t position, float latency_us, Instant now) {
  const float exchanges = static_cast<float>(view.active(position)) + 1;
  return latency_us * (1 + failure_cost * view.estimate(position).failures(now)) * exchanges / static_cast<float>(view.weight(position));
}

}  // namespace fastest

template <SnapshotView View>
std::optional<std::size_t> pick_fastest(const Schedule& schedule, Prng& prng, const View& view, Instant now) {
  if (schedule.turns.empty()) return std::nullopt;
  const auto one = fastest::draw(schedule, prng, view, std::nullopt);
  if (!one) return std::nullopt;
  const auto two = fastest::draw(schedule, prng, view, one);
  if (!two) return one;

  // One that has not answered yet is taken to be as fast as the other.
  float one_us = view.estimate(*one).peak_us(now);
  float two_us = view.estimate(*two).peak_us(now);
  if (one_us == 0) one_us = two_us == 0 ? 1 : two_us;
  if (two_us == 0) two_us = one_us;
  return fastest::cost(view, *two, two_us, now) < fastest::cost(view, *one, one_us, now) ? two : one;
}

}  // namespace steelyard::balance
