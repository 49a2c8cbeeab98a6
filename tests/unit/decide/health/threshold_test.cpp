#include "decide/health/threshold.hpp"

#include <gtest/gtest.h>

namespace steelyard {
namespace threshold_test {

using Change = Threshold::Change;

TEST(Threshold, falls_after_failures_in_a_row) {
  Threshold threshold;
  EXPECT_EQ(threshold.on_failure(3), Change::none);
  EXPECT_EQ(threshold.on_failure(3), Change::none);
  EXPECT_TRUE(threshold.is_up());
  EXPECT_EQ(threshold.on_failure(3), Change::down);
  EXPECT_FALSE(threshold.is_up());
  EXPECT_EQ(threshold.on_failure(3), Change::none);
}

TEST(Threshold, success_in_between_begins_the_count_again) {
  Threshold threshold;
  EXPECT_EQ(threshold.on_failure(2), Change::none);
  EXPECT_EQ(threshold.on_success(1), Change::none);
  EXPECT_EQ(threshold.on_failure(2), Change::none);
  EXPECT_EQ(threshold.on_failure(2), Change::down);
}

TEST(Threshold, rises_after_successes_in_a_row) {
  Threshold threshold(Threshold::State::down);
  EXPECT_EQ(threshold.on_success(2), Change::none);
  EXPECT_EQ(threshold.on_failure(1), Change::none);
  EXPECT_EQ(threshold.on_success(2), Change::none);
  EXPECT_EQ(threshold.on_success(2), Change::up);
  EXPECT_EQ(threshold.state(), Threshold::State::up);
}

TEST(Threshold, count_starts_at_0_after_a_change) {
  Threshold threshold;
  EXPECT_EQ(threshold.on_failure(2), Change::none);
  EXPECT_EQ(threshold.on_failure(2), Change::down);
  EXPECT_EQ(threshold.on_success(2), Change::none);
  EXPECT_EQ(threshold.on_success(2), Change::up);
  EXPECT_EQ(threshold.on_failure(2), Change::none);
}

TEST(Threshold, smaller_limit_after_a_reload_counts_at_once) {
  Threshold threshold;
  EXPECT_EQ(threshold.on_failure(5), Change::none);
  EXPECT_EQ(threshold.on_failure(5), Change::none);
  EXPECT_EQ(threshold.on_failure(2), Change::down);
}

TEST(Threshold, limit_0_is_1) {
  Threshold threshold;
  EXPECT_EQ(threshold.on_failure(0), Change::down);
  EXPECT_EQ(threshold.on_success(0), Change::up);
}

}  // namespace threshold_test
}  // namespace steelyard
