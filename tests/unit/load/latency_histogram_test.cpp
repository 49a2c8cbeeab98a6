#include "load/latency_histogram.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/prng.hpp"

namespace steelyard::load {
namespace latency_histogram_test {

TEST(LatencyHistogram, is_all_zero_without_records) {
  const LatencyHistogram empty;
  EXPECT_EQ(empty.count(), 0U);
  for (const Duration value : {empty.minimum(), empty.maximum(), empty.mean(), empty.quantile(0.5)}) EXPECT_EQ(value, 0ns);
  EXPECT_EQ(empty.count_below(1s), 0U);
}

TEST(LatencyHistogram, gives_one_record_back_exactly) {
  for (const Duration value : {0ns, 1ns, 127ns, 128ns, 129ns, Duration{123'456'789}, Duration{1h}}) {
    LatencyHistogram histogram;
    histogram.record(value);
    for (const double fraction : {0.0, 0.5, 1.0}) EXPECT_EQ(histogram.quantile(fraction), value);
    EXPECT_EQ(histogram.mean(), value);
  }
}

TEST(LatencyHistogram, stays_within_one_percent_of_exact_quantiles) {
  Prng random(7);
  for (const double spread : {0.1, 1.0, 8.0, 20.0}) {
    LatencyHistogram histogram;
    std::vector<std::int64_t> exact;
    for (int i = 0; i < 20'000; ++i) {
      const double uniform = static_cast<double>(random.below(1'000'000)) / 1e6;
      exact.push_back(static_cast<std::int64_t>(std::exp(uniform * spread) * 1000));
      histogram.record(Duration{exact.back()});
    }
    std::ranges::sort(exact);
    for (const double fraction : {0.001, 0.01, 0.25, 0.5, 0.9, 0.95, 0.99, 0.999, 0.9999, 1.0}) {
      const auto rank = static_cast<std::size_t>(std::ceil(fraction * static_cast<double>(exact.size()))) - 1;
      const auto expected = static_cast<double>(exact[rank]);
      EXPECT_NEAR(static_cast<double>(histogram.quantile(fraction).count()), expected, expected * 0.005) << fraction << ' ' << spread;
    }
    EXPECT_EQ(histogram.minimum().count(), exact.front());
    EXPECT_EQ(histogram.maximum().count(), exact.back());
  }
}

TEST(LatencyHistogram, quantiles_are_of_the_nearest_rank) {
  LatencyHistogram histogram;
  for (int i = 1; i <= 100; ++i) histogram.record(Duration{i});  // each in a bucket of its own
  EXPECT_EQ(histogram.quantile(0.5), 50ns);
  EXPECT_EQ(histogram.quantile(0.501), 51ns);
  EXPECT_EQ(histogram.quantile(0.99), 99ns);
  EXPECT_EQ(histogram.quantile(0.999), 100ns);
  EXPECT_EQ(histogram.quantile(0), 1ns);
}

TEST(LatencyHistogram, one_slow_record_among_a_thousand_is_seen_beyond_its_rank_only) {
  LatencyHistogram histogram;
  for (int i = 0; i < 999; ++i) histogram.record(1ms);
  histogram.record(1s);
  EXPECT_LT(histogram.quantile(0.999), 1010us);
  EXPECT_EQ(histogram.quantile(0.9999), 1s);
}

TEST(LatencyHistogram, counts_what_is_below_a_value) {
  LatencyHistogram histogram;
  for (int i = 1; i <= 1000; ++i) histogram.record(Duration{i * 1'000'000});
  EXPECT_EQ(histogram.count_below(0ns), 0U);
  EXPECT_NEAR(static_cast<double>(histogram.count_below(500ms)), 499, 5);
  EXPECT_EQ(histogram.count_below(2s), 1000U);
}

TEST(LatencyHistogram, merges_as_if_one_had_recorded_all) {
  LatencyHistogram a;
  LatencyHistogram b;
  LatencyHistogram both;
  Prng random(3);
  for (int i = 0; i < 1000; ++i) {
    const Duration value{static_cast<std::int64_t>(random.below(1'000'000'000))};
    (i % 3 == 0 ? a : b).record(value);
    both.record(value);
  }
  a.merge(b);
  a.merge(LatencyHistogram{});
  EXPECT_EQ(a.count(), both.count());
  EXPECT_EQ(a.minimum(), both.minimum());
  EXPECT_EQ(a.maximum(), both.maximum());
  EXPECT_NEAR(static_cast<double>(a.mean().count()), static_cast<double>(both.mean().count()), 2);
  for (const double fraction : {0.1, 0.5, 0.95}) EXPECT_EQ(a.quantile(fraction), both.quantile(fraction));
}

TEST(LatencyHistogram, takes_negative_and_endless_durations) {
  LatencyHistogram histogram;
  histogram.record(-5ns);
  histogram.record(Duration::max());
  EXPECT_EQ(histogram.minimum(), 0ns);
  EXPECT_EQ(histogram.maximum(), Duration::max());
  EXPECT_EQ(histogram.quantile(1), Duration::max());
}

}  // namespace latency_histogram_test
}  // namespace steelyard::load
