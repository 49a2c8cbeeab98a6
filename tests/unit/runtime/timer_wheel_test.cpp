#include "runtime/timer_wheel.hpp"

#include <gtest/gtest.h>

#include "base/prng.hpp"

namespace steelyard {
namespace {

constexpr std::int64_t tick_ns = 1'000'000;

struct Alarm final : Timer {
  explicit Alarm(const Instant& clock) : now(clock) {}
  void on_expired() override { fired_at = now; }
  const Instant& now;
  Instant fired_at = never;
};

// Arms one timer at `now` and goes from one next() to the other until it has fired.
Instant fires_at(Instant now, Instant expiry) {
  TimerWheel wheel(now);
  Alarm alarm(now);
  wheel.arm(alarm, expiry);
  while (alarm.fired_at == never && wheel.next() != never) {
    now = std::max(now, wheel.next());
    wheel.advance(now);
  }
  return alarm.fired_at;
}

TEST(TimerWheel, fires_in_the_last_tick_of_a_cascaded_slot) {
  // Due 63 ticks after the cascade that brings it to the lowest level: its slot there is the farthest one.
  EXPECT_EQ(fires_at(Instant{0}, Instant{127 * tick_ns}), Instant{127 * tick_ns});
  EXPECT_EQ(fires_at(Instant{0}, Instant{(2 * 4096 - 1) * tick_ns}), Instant{(2 * 4096 - 1) * tick_ns});
}

TEST(TimerWheel, fires_in_the_tick_of_the_cascade_itself) {
  EXPECT_EQ(fires_at(Instant{0}, Instant{128 * tick_ns}), Instant{128 * tick_ns});
  EXPECT_EQ(fires_at(Instant{0}, Instant{4096 * tick_ns}), Instant{4096 * tick_ns});
}

TEST(TimerWheel, never_fires_early_and_at_most_one_tick_late) {
  Prng prng(1);
  for (int i = 0; i < 20'000; ++i) {
    const Instant now{static_cast<std::int64_t>(prng.below(20'000'000'000'000))};
    const std::uint64_t span_ns = std::uint64_t{1} << (20 + prng.below(24));  // a millisecond to five hours
    const Instant expiry = now + Duration(static_cast<std::int64_t>(prng.below(span_ns)));
    const Instant fired = fires_at(now, expiry);
    ASSERT_GE(fired, expiry);
    ASSERT_LE(fired, expiry + Duration(2 * tick_ns)) << "armed at " << now.ns << " for " << expiry.ns;
  }
}

}  // namespace
}  // namespace steelyard
