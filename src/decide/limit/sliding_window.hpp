// Never more than `count` in any period, however placed. Time is cut into slices of a sixth of the period; what seven of them have
// counted, the current one and the six before, covers every period that ends in the current one. Pure.
//
// The current slice is counted exactly and an old one in 8 bits: where `count` is over 255, in units of ceil(count/255), rounded up.
// So it never allows too many. It may allow too few: room comes back up to a sixth of the period late, and up to six units less
// one each (under 2.4 % of `count`) are lost to the rounding.
//
// State, from the lowest bit, of the 95 that there are: 48 bits for the old slices, the newest lowest; then what the current slice has
// counted, in as many bits as `count` has; then its number, whose highest bits do not fit. How soon numbers repeat decides which rules
// can be kept (repeats_after()): a key of which nothing was seen for so long may find its old count, for an hour at most.
#pragma once

#include <algorithm>
#include <bit>

#include "decide/limit/state.hpp"

namespace steelyard::limit::sliding_window {

__extension__ using Bits = unsigned __int128;

inline constexpr unsigned old_slices = 6;
inline constexpr unsigned old_bits = 8 * old_slices;
inline constexpr unsigned state_bits = 95;
inline constexpr Duration repeats_after_min = 60 * 24h;
inline constexpr Duration ahead_max = 1h;  // by which one thread's time may be ahead of another's

struct Slices {
  std::uint64_t number = 0;   // of the current slice, since the beginning of the clock
  std::uint64_t current = 0;  // counted in it
  std::uint64_t old = 0;      // a byte for each, in units
};

constexpr std::uint64_t slice_ns(const Rule& rule) {
  return (static_cast<std::uint64_t>(rule.period.count()) + old_slices - 1) / old_slices;
}
constexpr std::uint64_t unit(const Rule& rule) { return (rule.count + 254) / 255; }
constexpr unsigned number_bits(const Rule& rule) { return state_bits - old_bits - static_cast<unsigned>(std::bit_width(rule.count)); }

constexpr Duration repeats_after(const Rule& rule) {
  const Bits ns = Bits{slice_ns(rule)} << number_bits(rule);
  return Duration{ns > static_cast<std::uint64_t>(INT64_MAX) ? INT64_MAX : static_cast<std::int64_t>(ns)};
}

constexpr std::uint64_t counted(const Rule& rule, const Slices& slices) {
  std::uint64_t units = 0;
  for (std::uint64_t rest = slices.old; rest != 0; rest >>= 8U) units += rest & 0xffU;
  return slices.current + units * unit(rule);
}

// As they are `passed` slices later.
constexpr Slices later(const Rule& rule, const Slices& slices, std::uint64_t passed) {
  Slices moved{.number = slices.number + passed};
  if (passed == 0) return slices;
  if (passed > old_slices) return moved;
  const std::uint64_t units = std::min<std::uint64_t>((slices.current + unit(rule) - 1) / unit(rule), 255);
  moved.old = ((slices.old << 8U * (passed - 1) << 8U) | units << 8U * (passed - 1)) & ((std::uint64_t{1} << old_bits) - 1);
  return moved;
}

// What the state says at `number`. A slice that seems to be a little ahead was begun by a clock that is ahead of this one, or by a thread
// that was not stopped; there the count goes on.
constexpr Slices read(const Rule& rule, State state, std::uint64_t number) {
  if (state == State{}) return {.number = number};
  const auto count_bits = static_cast<unsigned>(std::bit_width(rule.count));
  const Bits bits = Bits{state.high} << 63U | state.low;
  const std::uint64_t mask = (std::uint64_t{1} << number_bits(rule)) - 1;
  const std::uint64_t passed = (number - static_cast<std::uint64_t>(bits >> (old_bits + count_bits))) & mask;
  const std::uint64_t ahead = (0 - passed) & mask;
  Slices slices;
  slices.old = static_cast<std::uint64_t>(bits) & ((std::uint64_t{1} << old_bits) - 1);
  slices.current = static_cast<std::uint64_t>(bits >> old_bits) & ((std::uint64_t{1} << count_bits) - 1);
  if (ahead <= static_cast<std::uint64_t>(ahead_max.count()) / slice_ns(rule) + 1) {
    slices.number = number + ahead;
    return slices;
  }
  slices.number = number - passed;
  return later(rule, slices, passed);
}

constexpr State written(const Rule& rule, const Slices& slices) {
  if (slices.current == 0 && slices.old == 0) return {};
  const auto count_bits = static_cast<unsigned>(std::bit_width(rule.count));
  const std::uint64_t mask = (std::uint64_t{1} << number_bits(rule)) - 1;
  const Bits bits = (Bits{slices.number & mask} << count_bits | slices.current) << old_bits | slices.old;
  return {static_cast<std::uint64_t>(bits) & INT64_MAX, static_cast<std::uint32_t>(bits >> 63U)};
}

// From `now` to the beginning of that slice.
constexpr Duration until(const Rule& rule, std::uint64_t number, Instant now) {
  const Bits ns = Bits{number} * slice_ns(rule);
  if (ns > static_cast<std::uint64_t>(INT64_MAX)) return Duration{INT64_MAX - now.ns};
  return std::max(Duration{static_cast<std::int64_t>(ns) - now.ns}, Duration{0});
}

// Until the newest slice that has counted something is older than a period.
constexpr Duration reset(const Rule& rule, const Slices& slices, Instant now) {
  if (slices.current != 0) return until(rule, slices.number + old_slices + 1, now);
  if (slices.old == 0) return Duration{0};
  return until(rule, slices.number + old_slices - static_cast<unsigned>(std::countr_zero(slices.old)) / 8, now);
}

constexpr Duration retry_after(const Rule& rule, const Slices& slices, Instant now, std::uint64_t cost) {
  if (cost > rule.count) return rule.period;
  for (std::uint64_t passed = 1; passed <= old_slices; ++passed) {
    if (counted(rule, later(rule, slices, passed)) + cost <= rule.count) return until(rule, slices.number + passed, now);
  }
  return until(rule, slices.number + old_slices + 1, now);
}

constexpr Duration left(const Rule& rule, State state, Instant now) {
  return reset(rule, read(rule, state, static_cast<std::uint64_t>(now.ns) / slice_ns(rule)), now);
}

constexpr Step take(const Rule& rule, State state, Instant now, std::uint64_t cost) {
  Slices slices = read(rule, state, static_cast<std::uint64_t>(now.ns) / slice_ns(rule));
  const std::uint64_t room = rule.count - std::min(counted(rule, slices), rule.count);
  if (cost > room) {
    const Duration retry = retry_after(rule, slices, now, cost);
    return {state, {.allowed = false, .remaining = room, .retry_after = retry, .reset = reset(rule, slices, now)}};
  }
  slices.current += cost;
  return {cost == 0 ? state : written(rule, slices), {.remaining = room - cost, .reset = reset(rule, slices, now)}};
}

// Only into the slice that it was taken out of, or an older one that is counted exactly: otherwise room would come twice.
constexpr State give_back(const Rule& rule, State state, Instant taken_at, std::uint64_t cost) {
  const std::uint64_t number = static_cast<std::uint64_t>(taken_at.ns) / slice_ns(rule);
  Slices slices = read(rule, state, number);
  const std::uint64_t age = slices.number - number;
  if (age == 0) {
    slices.current -= std::min(slices.current, cost);
    return written(rule, slices);
  }
  if (age > old_slices || unit(rule) != 1) return state;
  const auto shift = static_cast<unsigned>(8 * (age - 1));
  slices.old -= std::min(slices.old >> shift & 0xffU, cost) << shift;
  return written(rule, slices);
}

}  // namespace steelyard::limit::sliding_window
