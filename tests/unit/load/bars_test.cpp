#include "load/bars.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "base/prng.hpp"

namespace steelyard::load {
namespace bars_test {

TEST(Bars, there_are_none_without_records) { EXPECT_TRUE(bars_of(LatencyHistogram{}).empty()); }

TEST(Bars, are_few_without_gaps_and_hold_every_record) {
  Prng random(5);
  for (const double decades : {0.0, 0.3, 1.0, 3.0, 6.0}) {
    LatencyHistogram histogram;
    for (int i = 0; i < 10'000; ++i) {
      const double exponent = decades * static_cast<double>(random.below(1000)) / 1000;
      histogram.record(Duration{static_cast<std::int64_t>(50'000 * std::pow(10, exponent))});
    }
    const auto bars = bars_of(histogram);
    ASSERT_FALSE(bars.empty());
    EXPECT_LE(bars.size(), 16U) << decades;
    if (decades >= 1) EXPECT_GE(bars.size(), 5U) << decades;
    EXPECT_LE(bars.front().from, histogram.minimum());
    EXPECT_GT(bars.back().to, histogram.maximum());
    std::uint64_t count = 0;
    for (std::size_t i = 0; i < bars.size(); ++i) {
      count += bars[i].count;
      if (i > 0) EXPECT_EQ(bars[i].from, bars[i - 1].to);
    }
    EXPECT_EQ(count, histogram.count());
  }
}

TEST(Bars, a_few_outliers_do_not_coarsen_them) {
  LatencyHistogram histogram;
  for (int i = 0; i < 10'000; ++i) histogram.record(Duration{1'000'000 + i * 100});  // 1 to 2 ms
  histogram.record(30s);
  const auto bars = bars_of(histogram);
  EXPECT_GE(bars.size(), 6U);
  EXPECT_EQ(bars.back().to, Duration::max());
  EXPECT_EQ(bars.back().count, 1U);
}

}  // namespace bars_test
}  // namespace steelyard::load
