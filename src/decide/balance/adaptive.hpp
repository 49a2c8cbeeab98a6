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

namespace adaptive {

// Up to so many servers all are looked at. Two choices are too few in a small pool, where each is a large part of it.
inline constexpr std::size_t scan_max = 32;
// Of a larger pool so many are drawn. With those kept from the last pick, tails are within one per cent of looking at all.
inline constexpr std::size_t drawn_count = 6;
inline constexpr std::size_t kept_count = 2;
// Turns of the schedule that are drawn in search of servers that may be taken, before all are looked at.
inline constexpr std::size_t draws_max = 24;
// How far from the median a server counts as equal to it: twice what chance does to the estimate of one that is.
inline constexpr float equal_within = 1.5F;
// A server with a exchanges under way answers every latency/a. Eight times that without an answer is a stall, seldom chance.
inline constexpr float silence_max = 8;
// And then it counts as so much slower. Not more: it may have been idle, or hold tunnels that never answer.
inline constexpr float silence_factor = 2;
// A share of failures is above the pool's when it is more than twice that and this: chance alone does not reach it.
inline constexpr float failures_margin = 0.05F;
// How long the pool's median is good for; estimates move by a sixty-fourth with each answer.
inline constexpr Duration refresh_interval = 20ms;
inline constexpr std::size_t refresh_count = 63;  // servers looked at for it

}  // namespace adaptive

// What one worker remembers of one pool. After the pool's servers changed it may be wrong for a while, which does no harm.
struct AdaptiveMemory {
  float per_median_us = 0;     // 1/median of the latencies of servers; 0: not known
  float failures_allowed = 1;  // a share above it is worse than the pool
  Instant refreshed{std::numeric_limits<std::int64_t>::min()};
  // Positions, for a large pool: the cheapest of the last pick, and those drawn for the next, which are on their way to the cache.
  std::array<std::uint32_t, adaptive::kept_count> kept{};
  std::array<std::uint32_t, adaptive::drawn_count> drawn{};
};

namespace adaptive {

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

// Of a large pool: those drawn by the last pick, the best of the last pick, and if that is nobody, whoever is found. Then draws for
// the next pick.
template <SnapshotView View>
Candidates draw(const Schedule& schedule, Prng& prng, AdaptiveMemory& memory, const View& view) {
  Candidates candidates;
  const auto consider = [&](std::size_t position) {
    if (view.may_take(position) && !candidates.contain(position)) candidates.add(view, position);
  };
  const auto draw_one = [&] { return schedule.turns[prng.below(schedule.turns.size())]; };

  for (const std::uint32_t position : memory.drawn) consider(position < view.size() ? position : draw_one());
  for (std::size_t i = drawn_count; i < draws_max && candidates.count < drawn_count; ++i) consider(draw_one());
  for (const std::uint32_t position : memory.kept) {
    if (position < view.size()) consider(position);
  }
  const std::size_t begin = prng.below(view.size());
  for (std::size_t i = 0; candidates.count == 0 && i < view.size(); ++i) consider((begin + i) % view.size());

  for (std::uint32_t& position : memory.drawn) {
    position = draw_one();
    __builtin_prefetch(&view.estimate(position));
  }
  return candidates;
}

// The middle one, of an even number the lower: of two servers, the faster is what the slower one is compared with.
inline float median(std::span<float> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>((values.size() - 1) / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

template <SnapshotView View>
void refresh(AdaptiveMemory& memory, Prng& prng, const View& view, Instant now) {
  memory.refreshed = now;
  std::array<float, refresh_count> latencies_us;
  std::array<float, refresh_count> failures;
  const bool all = view.size() <= refresh_count;
  const std::size_t looked_at = all ? view.size() : refresh_count;
  std::size_t known = 0;
  for (std::size_t i = 0; i < looked_at; ++i) {
    const Estimate& estimate = view.estimate(all ? i : prng.below(view.size()));
    failures[i] = estimate.failures(now);
    if (const float latency_us = estimate.latency_us(); latency_us > 0) latencies_us[known++] = latency_us;
  }
  memory.per_median_us = known == 0 ? 0 : 1 / median(std::span(latencies_us.data(), known));
  memory.failures_allowed = 2 * median(std::span(failures.data(), looked_at)) + failures_margin;
}

inline float slowness(float times_median) {
  if (times_median < equal_within && times_median * equal_within > 1) return 1;
  // More than in proportion: where two servers are equally good on average, the faster one has the shorter tail.
  return times_median * std::sqrt(times_median);
}

// `more` is what the exchange to come counts for.
template <SnapshotView View>
float cost(const AdaptiveMemory& memory, const View& view, std::size_t position, float per_weight, float more, Instant now) {
  const Estimate& estimate = view.estimate(position);
  const auto active = static_cast<float>(view.active(position));
  const float times_median = estimate.latency_us() * memory.per_median_us;
  const Duration silence = estimate.silence(now);

  float factor = 1;
  if (times_median > 0) {
    if (active > 0 || silence < estimate_memory) factor = slowness(times_median);
    const float silence_medians = static_cast<float>(silence.count()) * 1e-3F * memory.per_median_us;
    if (silence_medians * active > silence_max * std::max(times_median, 1.0F)) factor *= silence_factor;
  }
  factor += failure_cost * std::max(estimate.failures(now) - memory.failures_allowed, 0.0F);
  return factor * (active * per_weight + more);
}

}  // namespace adaptive

// nullopt: none may be taken. `schedule` is that of the view's servers.
template <SnapshotView View>
std::optional<std::size_t> pick_adaptive(const Schedule& schedule, Prng& prng, AdaptiveMemory& memory, const View& view, Instant now) {
  using namespace adaptive;
  if (schedule.turns.empty()) return std::nullopt;
  if (now >= memory.refreshed + refresh_interval) refresh(memory, prng, view, now);
  const Candidates candidates = view.size() <= scan_max ? look_at_all(prng, view) : draw(schedule, prng, memory, view);
  if (candidates.count == 0) return std::nullopt;

  float lowest = std::numeric_limits<float>::infinity();
  float second = lowest;
  std::size_t at = candidates.first;
  for (std::size_t i = 0; i < candidates.count; ++i) {
    const std::uint32_t position = candidates.positions[at];
    const float per_weight = 1 / static_cast<float>(candidates.weights[at]);
    // Whose turn it is by weight is not kept waiting, however little that is, until all others have many exchanges.
    const float more = i == 0 ? 1 / static_cast<float>(candidates.weight_max) : per_weight;
    const float here = cost(memory, view, position, per_weight, more, now);
    if (here < lowest) {
      memory.kept = {position, memory.kept[0]};
      second = std::exchange(lowest, here);
    } else if (here < second) {
      memory.kept[1] = position;
      second = here;
    }
    if (++at == candidates.count) at = 0;
  }
  return memory.kept[0];
}

}  // namespace steelyard::balance
