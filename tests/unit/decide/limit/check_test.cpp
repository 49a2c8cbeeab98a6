#include "decide/limit/check.hpp"

#include <gtest/gtest.h>

namespace steelyard::limit {
namespace check_test {

Rule rule(Kind kind, std::uint64_t count, Duration period, std::uint64_t burst = 1) {
  return {.kind = kind, .count = count, .period = period, .burst = burst};
}

TEST(LimitCheckTest, allows_the_largest_and_the_smallest) {
  for (const Kind kind : {Kind::token_bucket, Kind::fixed_window, Kind::sliding_window, Kind::bandwidth}) {
    EXPECT_FALSE(problem(rule(kind, count_max, period_max))) << name(kind);
    EXPECT_FALSE(problem(rule(kind, 1, period_max))) << name(kind);
    EXPECT_FALSE(problem(rule(kind, 1, period_min))) << name(kind);
  }
  EXPECT_FALSE(problem(rule(Kind::token_bucket, count_max, period_min, count_max)));
  EXPECT_FALSE(problem(rule(Kind::concurrent, 1, 0s, 0)));
}

TEST(LimitCheckTest, refuses_what_cannot_be_kept) {
  for (const Kind kind : {Kind::token_bucket, Kind::fixed_window, Kind::sliding_window, Kind::bandwidth}) {
    EXPECT_TRUE(problem(rule(kind, 0, 1s))) << name(kind);
    EXPECT_TRUE(problem(rule(kind, count_max + 1, period_max))) << name(kind);
    EXPECT_TRUE(problem(rule(kind, 1, period_min - 1ns))) << name(kind);
    EXPECT_TRUE(problem(rule(kind, 1, period_max + 1ns))) << name(kind);
  }
  EXPECT_TRUE(problem(rule(Kind::concurrent, 0, 0s)));
  for (const Kind kind : {Kind::token_bucket, Kind::bandwidth}) {
    EXPECT_TRUE(problem(rule(kind, 1, 1s, 0))) << name(kind);
    EXPECT_TRUE(problem(rule(kind, 1, 1s, count_max + 1))) << name(kind);
    EXPECT_TRUE(problem(rule(kind, 1, 24h, 366))) << name(kind);
    EXPECT_FALSE(problem(rule(kind, 1, 24h, 365))) << name(kind);
  }
}

TEST(LimitCheckTest, sliding_window_needs_time_for_many) {
  EXPECT_FALSE(problem(rule(Kind::sliding_window, 1'000'000, 1s)));
  EXPECT_TRUE(problem(rule(Kind::sliding_window, 100'000'000, 1s)));
  EXPECT_FALSE(problem(rule(Kind::sliding_window, 100'000'000, 60s)));
  EXPECT_FALSE(problem(rule(Kind::sliding_window, 1'000, 1ms)));
}

TEST(LimitCheckTest, states_of_a_sliding_window_mean_nothing_under_another_rule) {
  const Rule sliding = rule(Kind::sliding_window, 100, 60s);
  EXPECT_EQ(meaning_of_states(sliding), meaning_of_states(sliding));
  EXPECT_NE(meaning_of_states(sliding), meaning_of_states(rule(Kind::sliding_window, 101, 60s)));
  EXPECT_NE(meaning_of_states(sliding), meaning_of_states(rule(Kind::sliding_window, 100, 61s)));
  EXPECT_EQ(meaning_of_states(rule(Kind::token_bucket, 1, 1s)), meaning_of_states(rule(Kind::token_bucket, 100, 60s, 7)));
  EXPECT_NE(meaning_of_states(rule(Kind::token_bucket, 1, 1s)), meaning_of_states(rule(Kind::fixed_window, 1, 1s)));
}

}  // namespace check_test
}  // namespace steelyard::limit
