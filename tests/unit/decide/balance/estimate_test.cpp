// What is learnt of a server, and the growing share of one that has come back.
#include "decide/balance/estimate.hpp"

#include <gtest/gtest.h>

#include "decide/balance/slow_start.hpp"

namespace steelyard::balance {
namespace estimate_test {

constexpr Instant start{1'000'000'000};

TEST(Estimate, nothing_is_known_before_a_few_answers) {
  Estimate estimate;
  EXPECT_EQ(estimate.latency_us(), 0);
  estimate.on_answer(10ms, 1, start);
  EXPECT_EQ(estimate.latency_us(), 0);
  for (int i = 0; i < 10; ++i) estimate.on_answer(10ms, 1, start);
  EXPECT_NEAR(estimate.latency_us(), 10'000, 10);
}

TEST(Estimate, follows_a_server_that_has_become_slower) {
  Estimate estimate;
  for (int i = 0; i < 100; ++i) estimate.on_answer(1ms, 1, start);
  for (int i = 0; i < 300; ++i) estimate.on_answer(8ms, 1, start + 1s);
  EXPECT_NEAR(estimate.latency_us(), 8000, 300);
}

TEST(Estimate, a_single_stall_changes_little_but_the_peak) {
  Estimate estimate;
  for (int i = 0; i < 100; ++i) estimate.on_answer(1ms, 1, start);
  estimate.on_answer(500ms, 1, start);
  EXPECT_LT(estimate.latency_us(), 1200);
  EXPECT_NEAR(estimate.peak_us(start), 500'000, 1);
  EXPECT_LT(estimate.peak_us(start + 10 * estimate_memory), 1000) << "and that fades";
}

TEST(Estimate, failures_rise_fall_and_fade) {
  Estimate estimate;
  for (int i = 0; i < 100; ++i) estimate.on_failure(start);
  const float all = estimate.failures(start);
  EXPECT_GT(all, 0.9F);
  EXPECT_NEAR(estimate.failures(start + estimate_memory), all / 2, 0.01);
  for (int i = 0; i < 100; ++i) estimate.on_answer(1ms, 1, start);
  EXPECT_LT(estimate.failures(start), 0.1F);
}

TEST(Estimate, a_quick_failure_makes_no_server_fast) {
  Estimate estimate;
  for (int i = 0; i < 100; ++i) estimate.on_answer(10ms, 1, start);
  const float before = estimate.latency_us();
  for (int i = 0; i < 100; ++i) estimate.on_failure(start + 1ms);
  EXPECT_EQ(estimate.latency_us(), before);
}

TEST(Estimate, forgets_another_life) {
  Estimate estimate;
  for (int i = 0; i < 100; ++i) estimate.on_answer(10ms, 1, start);
  for (int i = 0; i < 10; ++i) estimate.on_failure(start);
  estimate.forget(start + 1s);
  EXPECT_EQ(estimate.latency_us(), 0);
  EXPECT_EQ(estimate.failures(start + 1s), 0);
  EXPECT_EQ(estimate.peak_us(start + 1s), 0);
  EXPECT_EQ(estimate.silence(start + 3s), 2s);
}

TEST(SlowStart, the_share_grows_from_the_floor_to_the_whole) {
  const SlowStartOptions line{.window = 10s, .floor = 0.1, .curve = 1};
  EXPECT_DOUBLE_EQ(slow_start_share(0s, line), 0.1);
  EXPECT_DOUBLE_EQ(slow_start_share(-1s, line), 0.1);
  EXPECT_DOUBLE_EQ(slow_start_share(5s, line), 0.5);
  EXPECT_DOUBLE_EQ(slow_start_share(10s, line), 1);
  EXPECT_DOUBLE_EQ(slow_start_share(1h, line), 1);
}

TEST(SlowStart, a_steeper_curve_begins_more_slowly) {
  const SlowStartOptions curved{.window = 10s, .floor = 0.1, .curve = 2};
  EXPECT_DOUBLE_EQ(slow_start_share(5s, curved), 0.25);
  EXPECT_DOUBLE_EQ(slow_start_share(0s, {.window = 0s, .floor = 0.1, .curve = 2}), 1) << "no window, no slow start";
}

}  // namespace estimate_test
}  // namespace steelyard::balance
