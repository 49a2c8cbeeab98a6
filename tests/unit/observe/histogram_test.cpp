#include "observe/histogram.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "base/prng.hpp"

namespace steelyard {
namespace histogram_test {

Duration us(std::uint64_t count) { return std::chrono::microseconds{static_cast<std::int64_t>(count)}; }

TEST(Histogram, is_all_zero_without_records) {
  const HistogramSnapshot empty = Histogram{}.snapshot();
  EXPECT_EQ(empty.count(), 0U);
  const std::array all = {empty.minimum(), empty.maximum(), empty.average(), empty.sum(), empty.quantile(0.95)};
  for (const Duration value : all) EXPECT_EQ(value, Duration{0});
}

TEST(Histogram, gives_one_record_back_exactly) {
  Histogram histogram;
  histogram.record(us(123'457));
  const HistogramSnapshot one = histogram.snapshot();
  for (const double fraction : {0.0, 0.5, 1.0}) EXPECT_EQ(one.quantile(fraction), us(123'457));
  EXPECT_EQ(one.average(), us(123'457));
}

TEST(Histogram, has_buckets_without_gap_or_overlap) {
  for (std::size_t i = 0; i < histogram_buckets::count; ++i) {
    EXPECT_EQ(histogram_buckets::index(histogram_buckets::lower_bound(i)), i);
    if (i != 0) EXPECT_EQ(histogram_buckets::index(histogram_buckets::lower_bound(i) - 1), i - 1);
  }
  EXPECT_EQ(histogram_buckets::index((std::uint64_t{1} << 32U) - 1), histogram_buckets::count - 1);
  EXPECT_EQ(histogram_buckets::index(UINT64_MAX), histogram_buckets::count - 1);
}

TEST(Histogram, stays_within_three_percent_of_exact_quantiles) {
  Prng random(7);
  for (const double spread : {1.0, 8.0, 20.0}) {
    Histogram histogram;
    std::vector<std::uint64_t> exact;
    for (int i = 0; i < 20'000; ++i) {
      const double uniform = static_cast<double>(random.below(1'000'000)) / 1e6;
      exact.push_back(static_cast<std::uint64_t>(std::exp(uniform * spread) * 2));
      histogram.record(us(exact.back()));
    }
    std::sort(exact.begin(), exact.end());
    const HistogramSnapshot copy = histogram.snapshot();
    for (const double fraction : {0.001, 0.01, 0.25, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0}) {
      const auto rank = static_cast<std::size_t>(std::ceil(fraction * static_cast<double>(exact.size()))) - 1;
      const auto expected = static_cast<double>(exact[rank]);
      EXPECT_NEAR(static_cast<double>(copy.quantile(fraction) / 1us), expected, expected * 0.03) << fraction << ' ' << spread;
    }
    EXPECT_EQ(copy.minimum(), us(exact.front()));
    EXPECT_EQ(copy.maximum(), us(exact.back()));
  }
}

TEST(Histogram, merges_as_if_one_had_recorded_all) {
  Histogram a;
  Histogram b;
  Histogram both;
  Prng random(3);
  for (int i = 0; i < 1000; ++i) {
    const Duration value = us(random.below(1'000'000));
    (i % 3 == 0 ? a : b).record(value);
    both.record(value);
  }
  HistogramSnapshot merged = a.snapshot();
  merged.merge(b.snapshot());
  merged.merge(HistogramSnapshot{});
  const HistogramSnapshot expected = both.snapshot();
  EXPECT_EQ(merged.count(), expected.count());
  EXPECT_EQ(merged.sum(), expected.sum());
  EXPECT_EQ(merged.minimum(), expected.minimum());
  EXPECT_EQ(merged.maximum(), expected.maximum());
  for (const double fraction : {0.1, 0.5, 0.95}) EXPECT_EQ(merged.quantile(fraction), expected.quantile(fraction));
}

TEST(Histogram, takes_negative_and_endless_durations) {
  Histogram histogram;
  histogram.record(Duration{-5});
  histogram.record(Duration::max());
  const HistogramSnapshot copy = histogram.snapshot();
  EXPECT_EQ(copy.minimum(), Duration{0});
  EXPECT_EQ(copy.quantile(1.0), copy.maximum());
  EXPECT_EQ(copy.maximum(), us(static_cast<std::uint64_t>(INT64_MAX / 1000)));
}

}  // namespace histogram_test
}  // namespace steelyard
