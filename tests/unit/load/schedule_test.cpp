#include "load/schedule.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace steelyard::load {
namespace schedule_test {

std::vector<double> seconds_of(Arrivals arrivals, std::size_t count) {
  std::vector<double> seconds;
  while (seconds.size() < count) seconds.push_back(std::chrono::duration<double>(arrivals.next()->at).count());
  return seconds;
}

std::size_t count_before(const std::vector<double>& seconds, double end) {
  return static_cast<std::size_t>(std::ranges::lower_bound(seconds, end) - seconds.begin());
}

TEST(Arrivals, even_ones_are_one_interval_apart_from_the_start) {
  const auto seconds = seconds_of(Arrivals(50, Spacing::even, 0s, {}, 1), 200);
  for (std::size_t i = 0; i < seconds.size(); ++i) EXPECT_NEAR(seconds[i], static_cast<double>(i) / 50, 1e-6);
}

TEST(Arrivals, the_intervals_of_a_poisson_process_are_exponential) {
  constexpr std::size_t count = 100'000;
  const auto seconds = seconds_of(Arrivals(1000, Spacing::poisson, 0s, {}, 1), count);
  EXPECT_NEAR(seconds.back(), count / 1000.0, 1.0);  // of a standard deviation of 0.3
  double squares = 0;
  std::size_t beyond_mean = 0;
  for (std::size_t i = 1; i < count; ++i) {
    const double interval = seconds[i] - seconds[i - 1];
    ASSERT_GE(interval, 0);
    squares += interval * interval;
    if (interval > 0.001) ++beyond_mean;
  }
  EXPECT_NEAR(squares / count, 2e-6, 0.1e-6);  // E[X²] = 2 mean²
  EXPECT_NEAR(static_cast<double>(beyond_mean) / count, std::exp(-1), 0.01);
}

TEST(Arrivals, a_seed_repeats_them_and_another_one_does_not) {
  const auto one = seconds_of(Arrivals(100, Spacing::poisson, 0s, {}, 7), 100);
  EXPECT_EQ(one, seconds_of(Arrivals(100, Spacing::poisson, 0s, {}, 7), 100));
  EXPECT_NE(one, seconds_of(Arrivals(100, Spacing::poisson, 0s, {}, 8), 100));
}

TEST(Arrivals, the_rate_grows_linearly_during_the_ramp) {
  for (const Spacing spacing : {Spacing::even, Spacing::poisson}) {
    const auto seconds = seconds_of(Arrivals(10'000, spacing, 4s, {}, 5), 60'000);
    // Expected until t: rate t² / (2 ramp), and the whole rate afterwards.
    const double tolerance = spacing == Spacing::even ? 2 : 600;
    EXPECT_NEAR(static_cast<double>(count_before(seconds, 1)), 1250, tolerance);
    EXPECT_NEAR(static_cast<double>(count_before(seconds, 2)), 5000, tolerance);
    EXPECT_NEAR(static_cast<double>(count_before(seconds, 4)), 20'000, tolerance);
    EXPECT_NEAR(static_cast<double>(count_before(seconds, 6)), 40'000, tolerance);
  }
}

TEST(Arrivals, even_shares_are_together_what_one_alone_is) {
  for (const Duration ramp : {0s, 2s}) {
    std::vector<double> together;
    for (std::uint32_t i = 0; i < 3; ++i) {
      const auto part = seconds_of(Arrivals(90, Spacing::even, ramp, {i, 3}, i), 100);
      together.insert(together.end(), part.begin(), part.end());
    }
    std::ranges::sort(together);
    const auto alone = seconds_of(Arrivals(90, Spacing::even, ramp, {}, 1), 300);
    for (std::size_t i = 0; i < alone.size(); ++i) EXPECT_NEAR(together[i], alone[i], 1e-6);
  }
}

TEST(Arrivals, poisson_shares_have_the_whole_rate_together) {
  std::size_t count = 0;
  for (std::uint32_t i = 0; i < 4; ++i) count += count_before(seconds_of(Arrivals(1000, Spacing::poisson, 0s, {i, 4}, i), 20'000), 40);
  EXPECT_NEAR(static_cast<double>(count), 40'000, 1000);
}

}  // namespace schedule_test
}  // namespace steelyard::load
