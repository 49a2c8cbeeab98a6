// Time as values: an Instant on the monotonic clock and a Duration, both in nanoseconds. Nothing here reads a clock: whoever
// needs the time is given it (runtime/ owns the clocks, real and simulated).
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>

namespace steelyard {

using Duration = std::chrono::nanoseconds;
using namespace std::chrono_literals;

struct Instant {
  std::int64_t ns = 0;

  friend constexpr auto operator<=>(Instant, Instant) = default;
  friend constexpr Duration operator-(Instant a, Instant b) { return Duration{a.ns - b.ns}; }
  // Saturates, so that "now plus a very long timeout" is never in the past.
  friend constexpr Instant operator+(Instant at, Duration d) {
    std::int64_t sum = 0;
    return __builtin_add_overflow(at.ns, d.count(), &sum) ? Instant{d.count() < 0 ? INT64_MIN : INT64_MAX} : Instant{sum};
  }
};

inline constexpr Instant never{INT64_MAX};

}  // namespace steelyard
