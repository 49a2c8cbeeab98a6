// The server that will probably answer first: the fewest exchanges under way for its weight, times how slow it is. Pure.
//
// What is it about a policy that knows load alone: it always keeps something at the slowest server, and of a server that fails in a
// millisecond it thinks that it is the least busy (Wydrowski and others, "Load is not what you should balance", NSDI 2024). And one
// that knows latency alone follows chance. So here
// - servers about as fast as the pool's median count as equal, so that in an equal pool the load alone decides;
// - failures above those of the pool cost more than any latency;
// - one that has been silent for longer than what it has under way explains counts as slower;
// - one of which nothing is known, or nothing of late, counts as the median: a slow server is tried again, once in a while.
// A small pool is looked at as a whole; of a large one, a few servers drawn by weight and the best of the last time: with a memory
// few are as good as all (Mitzenmacher, Prabhakar, Shah 2002).
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <utility>

#include "base/prng.hpp"
#include "decide/balance/smooth_schedule.hpp"
#include "decide/balance/view.hpp"

namespace steelyard::balance {

// What one worker remembers of one pool. After the pool's servers changed it may be wrong for a while, which does no harm.
struct AdaptiveMemory {
  static constexpr std::size_t kept_max = 2;

  float median_us = 0;         // of the latencies of servers; 0: not known
  float failures_allowed = 1;  // a share above it is worse than the pool
  Instant refreshed{std::numeric_limits<std::int64_t>::min()};
  std::array<std::uint32_t, kept_max> kept{};  // the cheapest of the last pick
};

namespace adaptive {

// Up to so many servers all are looked at. Two choices are too few in a small pool, where each is a large part of it.
inline constexpr std::size_t scan_max = 64;
// Of a larger pool so many are drawn. With the two kept from the last pick, tails are within one per cent of looking at all.
inline constexpr std::size_t drawn = 4;
// Turns of the schedule that are drawn in search of servers that may be taken, before all are looked at.
inline constexpr std::size_t draws_max = 16;
// How far from the median a server counts as equal to it: twice what chance does to the estimate of one that is.
inline constexpr float equal_within = 1.5F;
// A server with a exchanges under way answers every latency/a. Ten times that without an answer is a stall, seldom chance.
inline constexpr float silence_max = 10;
// And then it counts as so much slower. Not more: it may have been idle, or hold tunnels that never answer.
inline constexpr float silence_factor = 2;
// A share of failures is above the pool's when it is more than twice that and this: chance alone does not reach it.
inline constexpr float failures_margin = 0.05F;
// How long the pool's median is good for; estimates move by a sixty-fourth with each answer.
inline constexpr Duration refresh_interval = 20ms;

// Servers that may be taken. One of them was drawn by weight and comes first: it wins where costs are equal, so that idle servers
// share by weight.
struct Candidates {
  std::array<std::uint32_t, scan_max> positions;
  std::array<std::uint32_t, scan_max> weights;
  std::size_t count = 0;
  std::size_t first = 0;
  std::uint32_t weight_max = 0;

  [[nodiscard]] bool contain(std::size_t position) const { 
    const auto end = positions.begin() + static_cast<std::ptrdiff_t>(count);
    return std::find(positions.begin(), end, position) != end;
  }

  // Its weight; 0: not added.
  template <SnapshotView View>
  std::uint32_t add(const View& view, std::size_t position) {
    const std::uint32_t weight = view.weight(position);
    if (weight == 0) return 0;
    positions[count] = static_cast<std::uint32_t>(position);
    weights[count++] = weight;
    weight_max = std::max(weight_max, weight);
    return weight;
  }
};

// The middle one, of an even number the lower: of two servers, the faster is what the slower one is compared with.
inline float median(std::span<float> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>((values.size() - 1) / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

template <SnapshotView View>
void refresh(AdaptiveMemory& memory, Prng& prng, const View& view, Instant now) {
  if (now < memory.refreshed + refresh_interval) return;
  memory.refreshed = now;
  std::array<float, scan_max> latencies_us;
  std::array<float, scan_max> failures;
  const bool all = view.size() <= scan_max;
  const std::size_t looked_at = all ? view.size() : scan_max;
  std::size_t known = 0;
  for (std::size_t i = 0; i < looked_at; ++i) {
    const Estimate& estimate = view.estimate(all ? i : prng.below(view.size()));
    failures[i] = estimate.failures(now);
    if (const float latency_us = estimate.latency_us(); latency_us > 0) latencies_us[known++] = latency_us;
  }
  memory.median_us = median(std::span(latencies_us.data(), known));
  memory.failures_allowed = 2 * median(std::span(failures.data(), looked_at)) + failures_margin;
}

// Of a small pool: all that may be taken, the first by weights as they are now, so that a slow start counts at any load.
template <SnapshotView View>
Candidates look_at_all(Prng& prng, const View& view) {
  Candidates candidates;
  std::uint64_t weights = 0;
  for (std::size_t i = 0; i < view.size(); ++i) {
    if (view.may_take(i)) weights += candidates.add(view, i);
  }
  if (weights == 0) return candidates;
  std::uint64_t turn = prng.below(weights);
  while (turn >= candidates.weights[candidates.first]) turn -= candidates.weights[candidates.first++];
  return candidates;
}

template <SnapshotView View>
Candidates draw(const Schedule& schedule, Prng& prng, const AdaptiveMemory& memory, const View& view) {
  Candidates candidates;
  const auto consider = [&](std::size_t position) {
    if (view.may_take(position) && !candidates.contain(position)) candidates.add(view, position);
  };
  for (std::size_t draws = 0; draws < draws_max && candidates.count < drawn; ++draws) {
    consider(schedule.turns[prng.below(schedule.turns.size())]);
  }
  for (const std::uint32_t position : memory.kept) {
    if (position < view.size()) consider(position);
  }
  // Hardly anybody is left: whoever it is.
  const std::size_t begin = prng.below(view.size());
  for (std::size_t i = 0; candidates.count == 0 && i < view.size(); ++i) consider((begin + i) % view.size());
  return candidates;
}

inline float slowness(float times_median) {
  if (times_median < equal_within && times_median * equal_within > 1) return 1;
  // More than in proportion: where two servers are equally good on average, the faster one has the shorter tail.
  return times_median * std::sqrt(times_median);
}

// `turn_weight`: what the one exchange more is divided by. For the server whose turn it is by weight that is the largest weight, so
// that one with little weight is not left idle until all others have many exchanges.
template <SnapshotView View>
float cost(const AdaptiveMemory& memory, const View& view, std::size_t position, float weight, float turn_weight, Instant now) {
  const Estimate& estimate = view.estimate(position);
  const auto active = static_cast<float>(view.active(position));
  const float latency_us = estimate.latency_us();
  const Duration silence = estimate.silence(now);

  float factor = 1;
  if (latency_us > 0 && memory.median_us > 0) {
    if (active > 0 || silence < estimate_memory) factor = slowness(latency_us / memory.median_us);
    const float silence_us = static_cast<float>(silence.count()) * 1e-3F;
    if (silence_us * active > silence_max * std::max(latency_us, memory.median_us)) factor *= silence_factor;
  }
  factor += failure_cost * std::max(estimate.failures(now) - memory.failures_allowed, 0.0F);
  return factor * (active / weight + 1 / turn_weight);
}

}  // namespace adaptive

template <SnapshotView View>
std::optional<std::size_t> pick_adaptive(const Schedule& schedule, Prng& prng, AdaptiveMemory& memory, const View& view, Instant now) {
  using namespace adaptive;
  if (schedule.turns.empty()) return std::nullopt;
  refresh(memory, prng, view, now);
  const Candidates candidates = view.size() <= scan_max ? look_at_all(prng, view) : draw(schedule, prng, memory, view);
  if (candidates.count == 0) return std::nullopt;

  std::array<std::uint32_t, AdaptiveMemory::kept_max> cheapest{};
  float lowest = std::numeric_limits<float>::infinity();
  float second = lowest;
  for (std::size_t i = 0; i < candidates.count; ++i) {
    const std::size_t at = (candidates.first + i) % candidates.count;
    const std::uint32_t position = candidates.positions[at];
    const auto weight = static_cast<float>(candidates.weights[at]);
    const float here = cost(memory, view, position, weight, i == 0 ? static_cast<float>(candidates.weight_max) : weight, now);
    if (here < lowest) {
      cheapest = {position, cheapest[0]};
      second = std::exchange(lowest, here);
    } else if (here < second) {
      cheapest[1] = position;
      second = here;
    }
  }
  memory.kept = cheapest;
  return cheapest[0];
}

}  // namespace steelyard::balance
