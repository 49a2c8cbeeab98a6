// The timer wheel against what it promises, and against a model that looks at every timer.
#include "runtime/timer_wheel.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <functional>
#include <memory>
#include <vector>

#include "base/prng.hpp"

namespace steelyard {
namespace timer_wheel_test {

class Alarm final : public Timer {
 public:
  std::function<void()> then;
  int fired = 0;
  void on_expired() override {
    ++fired;
    if (then) then();
  }
};

constexpr Instant at_ms(std::int64_t ms) { return Instant{ms * 1'000'000}; }
constexpr Duration tick = 1ms;

// Times that matter: around the edges of the wheel's levels as well as anywhere.
Duration any_distance(Prng& prng) {
  const std::uint64_t magnitude = prng.below(36);
  const std::uint64_t ms = (std::uint64_t{1} << magnitude) + prng.below(std::uint64_t{1} << magnitude);
  const auto offset = static_cast<std::int64_t>(prng.below(5)) - 2;
  return std::chrono::milliseconds(static_cast<std::int64_t>(prng.chance(0.5) ? ms : std::uint64_t{1} << magnitude) + offset) +
         std::chrono::nanoseconds(prng.below(1'000'000));
}

TEST(TimerWheel, fires_after_the_expiry_and_within_a_tick_for_every_distance) {
  for (const std::int64_t start : {0, 1, 63, 64, 4095, 4096}) {
    for (std::int64_t distance = 1; distance < 9000; distance += distance < 300 ? 1 : 61) {
      TimerWheel wheel(at_ms(start));
      Alarm alarm;
      wheel.arm(alarm, at_ms(start + distance));
      for (std::int64_t now = start; now < start + distance; now += 64) wheel.advance(at_ms(now));
      wheel.advance(at_ms(start + distance - 1));
      ASSERT_EQ(alarm.fired, 0) << "early, from " << start << " over " << distance;
      wheel.advance(at_ms(start + distance));
      ASSERT_EQ(alarm.fired, 1) << "late, from " << start << " over " << distance;
    }
  }
}

TEST(TimerWheel, an_expiry_between_ticks_is_rounded_up) {
  TimerWheel wheel(at_ms(10));
  Alarm alarm;
  wheel.arm(alarm, Instant{12'000'001});
  wheel.advance(Instant{12'999'999});
  EXPECT_EQ(alarm.fired, 0);
  wheel.advance(at_ms(13));
  EXPECT_EQ(alarm.fired, 1);
}

TEST(TimerWheel, an_expiry_in_the_past_fires_with_the_next_tick) {
  TimerWheel wheel(at_ms(100));
  Alarm alarm;
  wheel.arm(alarm, at_ms(3));
  wheel.advance(at_ms(100));
  EXPECT_EQ(alarm.fired, 0);
  wheel.advance(at_ms(101));
  EXPECT_EQ(alarm.fired, 1);
}

TEST(TimerWheel, a_disarmed_timer_does_not_fire_and_next_forgets_it) {
  TimerWheel wheel(at_ms(0));
  Alarm alarm;
  wheel.arm(alarm, at_ms(5));
  EXPECT_EQ(wheel.next(), at_ms(5));
  alarm.disarm();
  EXPECT_EQ(wheel.next(), never);
  wheel.advance(at_ms(100));
  EXPECT_EQ(alarm.fired, 0);
}

TEST(TimerWheel, arming_again_moves_the_timer) {
  TimerWheel wheel(at_ms(0));
  Alarm alarm;
  wheel.arm(alarm, at_ms(5));
  wheel.arm(alarm, at_ms(9));
  wheel.advance(at_ms(8));
  EXPECT_EQ(alarm.fired, 0);
  wheel.advance(at_ms(9));
  EXPECT_EQ(alarm.fired, 1);
  wheel.advance(at_ms(50));
  EXPECT_EQ(alarm.fired, 1);
}

TEST(TimerWheel, a_timer_destroyed_while_armed_is_gone) {
  TimerWheel wheel(at_ms(0));
  {
    Alarm alarm;
    wheel.arm(alarm, at_ms(5));
  }
  EXPECT_EQ(wheel.next(), never);
  wheel.advance(at_ms(10));
}

TEST(TimerWheel, the_wheel_may_be_destroyed_before_its_timers) {
  Alarm alarm;
  {
    TimerWheel wheel(at_ms(0));
    wheel.arm(alarm, at_ms(5));
  }
  EXPECT_FALSE(alarm.armed());
}

TEST(TimerWheel, a_callback_may_destroy_another_timer_of_the_same_tick) {
  TimerWheel wheel(at_ms(0));
  Alarm first;
  auto second = std::make_unique<Alarm>();
  first.then = [&] { second.reset(); };
  wheel.arm(first, at_ms(5));
  wheel.arm(*second, at_ms(5));
  wheel.advance(at_ms(5));
  EXPECT_EQ(first.fired, 1);
  EXPECT_EQ(second, nullptr);
}

TEST(TimerWheel, a_timer_armed_by_a_callback_fires_in_its_time) {
  TimerWheel wheel(at_ms(0));
  Alarm alarm;
  std::vector<int> order;
  alarm.then = [&] {
    order.push_back(alarm.fired);
    if (alarm.fired < 4) wheel.arm(alarm, alarm.expiry() + 64 * tick);
  };
  wheel.arm(alarm, at_ms(64));
  wheel.advance(at_ms(127));
  EXPECT_EQ(alarm.fired, 1);
  wheel.advance(at_ms(128));
  EXPECT_EQ(alarm.fired, 2);
  // Two more over one long gap, whose time is already past when they are armed.
  wheel.advance(at_ms(1'000'000));
  EXPECT_EQ(alarm.fired, 4);
}

TEST(TimerWheel, timers_of_one_gap_fire_in_the_order_of_their_time) {
  TimerWheel wheel(at_ms(0));
  std::vector<std::size_t> order;
  std::vector<std::unique_ptr<Alarm>> alarms;
  const std::int64_t times[] = {70'000, 3, 4097, 64, 5000, 65, 300'000, 4096};
  for (std::size_t i = 0; i < std::size(times); ++i) {
    alarms.push_back(std::make_unique<Alarm>());
    alarms[i]->then = [&order, i] { order.push_back(i); };
    wheel.arm(*alarms[i], at_ms(times[i]));
  }
  wheel.advance(at_ms(1'000'000));
  EXPECT_EQ(order, (std::vector<std::size_t>{1, 3, 5, 7, 2, 4, 0, 6}));
}

TEST(TimerWheel, a_timer_beyond_the_wheels_span_waits_for_its_time) {
  constexpr std::int64_t span_ms = std::int64_t{1} << 36;
  TimerWheel wheel(at_ms(17));
  Alarm far;
  Alarm farthest;
  wheel.arm(far, at_ms(3 * span_ms + 5));
  wheel.arm(farthest, never);
  for (const std::int64_t now : {span_ms - 1, span_ms + 100, 2 * span_ms, 3 * span_ms + 4}) {
    wheel.advance(at_ms(now));
    EXPECT_EQ(far.fired, 0) << now;
  }
  wheel.advance(at_ms(3 * span_ms + 5));
  EXPECT_EQ(far.fired, 1);
  EXPECT_EQ(farthest.fired, 0);
}

TEST(TimerWheel, next_is_exact_within_64_ms_and_never_late_beyond) {
  TimerWheel wheel(at_ms(1000));
  EXPECT_EQ(wheel.next(), never);
  Alarm alarm;
  for (std::int64_t distance = 1; distance < 64; ++distance) {
    wheel.arm(alarm, at_ms(1000 + distance));
    EXPECT_LE(wheel.next(), at_ms(1000 + distance));
    EXPECT_GT(wheel.next(), at_ms(1000));
  }
  wheel.arm(alarm, at_ms(1010));
  EXPECT_EQ(wheel.next(), at_ms(1010));
  wheel.arm(alarm, at_ms(500'000));
  EXPECT_LE(wheel.next(), at_ms(500'000));
}

// A model that knows only when each timer was due.
class Model {
 public:
  explicit Model(std::uint64_t seed) : prng_(seed), now_{static_cast<std::int64_t>(prng_.below(1U << 30U)) * 1000}, wheel_(now_) {
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      entries_[i].alarm.then = [this, i] { on_fired(entries_[i]); };
    }
  }

  void run(int steps) {
    for (int i = 0; i < steps && !::testing::Test::HasFailure(); ++i) {
      const std::uint64_t choice = prng_.below(10);
      Entry& entry = entries_[prng_.below(entries_.size())];
      if (choice < 5) {
        arm(entry);
      } else if (choice < 6) {
        entry.alarm.disarm();
        entry.due = never;
      } else {
        advance();
      }
    }
  }

 private:
  struct Entry {
    Alarm alarm;
    Instant due = never;
  };

  void arm(Entry& entry) {
    const Instant expiry = prng_.chance(0.05) ? Instant{now_.ns / 2} : now_ + any_distance(prng_) / (prng_.chance(0.8) ? 100'000 : 1);
    entry.due = std::max(expiry, now_);
    wheel_.arm(entry.alarm, expiry);
  }

  void advance() {
    Duration step = any_distance(prng_) / (prng_.chance(0.9) ? 1'000'000 : 1);
    if (prng_.chance(0.3)) {
      // As an event loop does: to what the wheel itself says is next.
      const Instant next = wheel_.next();
      if (next != never) step = next - now_;
    }
    now_ = now_ + std::max(step, Duration{0});
    wheel_.advance(now_);
    Instant earliest = never;
    for (const Entry& entry : entries_) {
      if (entry.due != never) EXPECT_GT(entry.due + tick, now_) << "more than a tick late";
      EXPECT_EQ(entry.alarm.armed(), entry.due != never);
      earliest = std::min(earliest, entry.due);
    }
    if (earliest == never) {
      EXPECT_EQ(wheel_.next(), never);
    } else {
      EXPECT_LE(wheel_.next(), earliest + tick);
    }
  }

  void on_fired(Entry& entry) {
    EXPECT_NE(entry.due, never) << "fired without being armed";
    EXPECT_LE(entry.due, now_) << "early";
    entry.due = never;
    if (prng_.chance(0.3)) arm(entries_[prng_.below(entries_.size())]);
  }

  Prng prng_;
  Instant now_;
  TimerWheel wheel_;
  std::array<Entry, 24> entries_;
};

TEST(TimerWheel, agrees_with_a_naive_model) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(seed);
    Model(seed).run(1500);
    if (HasFailure()) break;
  }
}

}  // namespace timer_wheel_test
}  // namespace steelyard
