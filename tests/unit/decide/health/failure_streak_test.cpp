#include "decide/health/failure_streak.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <type_traits>

#include "base/prng.hpp"

namespace steelyard {
namespace failure_streak_test {

using Kind = EjectionReason::Kind;

// What workers need to share one without a lock.
static_assert(std::atomic<FailureStreak>::is_always_lock_free && std::has_unique_object_representations_v<FailureStreak>);

const OutlierOptions options{.failures_in_row = 5, .breaks_in_row = 3};
const TryResult good = answered(200);
const TryResult error = answered(500);
const TryResult reset = broken(ErrorKind::reset);

// How many of `results`, one after the other, are a reason.
template <typename... Results>
int ejections(FailureStreak& streak, const Results&... results) {
  return (0 + ... + (streak.count(results, options) ? 1 : 0));
}

TEST(FailureStreak, error_statuses_in_a_row_eject_at_their_limit) {
  FailureStreak streak;
  EXPECT_EQ(ejections(streak, error, error, error, error), 0);
  const auto reason = streak.count(answered(503), options);
  ASSERT_TRUE(reason);
  EXPECT_EQ(reason->kind, Kind::failures_in_row);
  EXPECT_EQ(reason->count, 5U);
  EXPECT_EQ(reason->last.status, 503);
}

TEST(FailureStreak, breaks_in_a_row_eject_at_theirs) {
  FailureStreak streak;
  EXPECT_EQ(ejections(streak, reset, reset), 0);
  const auto reason = streak.count(broken(ErrorKind::refused), options);
  ASSERT_TRUE(reason);
  EXPECT_EQ(reason->kind, Kind::breaks_in_row);
  EXPECT_EQ(reason->count, 3U);
  EXPECT_EQ(reason->last.error, ErrorKind::refused);
}

TEST(FailureStreak, breaks_and_error_statuses_add_up_to_failures_but_not_to_breaks) {
  FailureStreak streak;
  EXPECT_EQ(ejections(streak, reset, reset, error, reset), 0);
  const auto reason = streak.count(reset, options);
  ASSERT_TRUE(reason);
  EXPECT_EQ(reason->kind, Kind::failures_in_row);
}

TEST(FailureStreak, a_good_answer_begins_the_count_again) {
  FailureStreak streak;
  EXPECT_EQ(ejections(streak, error, error, error, error, good, error, error, error, error), 0);
  EXPECT_EQ(ejections(streak, good, reset, reset, good, reset, reset), 0);
  EXPECT_FALSE(streak.clean());
  EXPECT_EQ(ejections(streak, good), 0);
  EXPECT_TRUE(streak.clean());
}

TEST(FailureStreak, answers_below_500_are_good) {
  FailureStreak streak;
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(streak.count(answered(i % 2 == 0 ? 404 : 429), options));
  EXPECT_TRUE(streak.clean());
}

TEST(FailureStreak, beyond_the_limit_every_failure_is_a_reason) {
  FailureStreak streak;
  EXPECT_EQ(ejections(streak, error, error, error, error, error, error, error), 3);
  EXPECT_EQ(streak.count(error, options)->count, 8U);
}

TEST(FailureStreak, on_probation_one_failure_is_enough) {
  FailureStreak streak;
  streak.begin_probation();
  EXPECT_FALSE(streak.clean());
  EXPECT_EQ(ejections(streak, good, good), 0);
  const auto reason = streak.count(error, options);
  ASSERT_TRUE(reason);
  EXPECT_EQ(reason->kind, Kind::probation);
  EXPECT_EQ(reason->last.status, 500);
}

TEST(FailureStreak, probation_ends_with_enough_good_answers_in_a_row) {
  FailureStreak streak;
  streak.begin_probation();
  for (int i = 0; i < probation_answers - 1; ++i) EXPECT_EQ(ejections(streak, good), 0);
  EXPECT_TRUE(streak.on_probation());
  EXPECT_EQ(ejections(streak, error), 1);  // and it begins again
  for (int i = 0; i < probation_answers - 1; ++i) EXPECT_EQ(ejections(streak, good), 0);
  EXPECT_TRUE(streak.on_probation());
  EXPECT_EQ(ejections(streak, good), 0);
  EXPECT_TRUE(streak.clean());
  EXPECT_EQ(ejections(streak, error), 0);
}

TEST(FailureStreak, probation_forgets_what_led_to_the_ejection) {
  FailureStreak streak;
  EXPECT_EQ(ejections(streak, error, error, error, error, error), 1);
  streak.begin_probation();
  for (int i = 0; i < probation_answers; ++i) EXPECT_EQ(ejections(streak, good), 0);
  EXPECT_EQ(ejections(streak, error, error, error, error), 0);
  EXPECT_EQ(ejections(streak, error), 1);
}

TEST(FailureStreak, limit_0_is_1_and_a_good_answer_is_never_a_reason) {
  FailureStreak streak;
  const OutlierOptions none{.failures_in_row = 0, .breaks_in_row = 0};
  EXPECT_FALSE(streak.count(good, none));
  EXPECT_TRUE(streak.count(error, none));
}

// Against the definition, written down as a list of what happened.
TEST(FailureStreak, agrees_with_its_definition_on_random_rows) {
  Prng prng(11);
  for (int round = 0; round < 2000; ++round) {
    const OutlierOptions drawn{.failures_in_row = 1 + static_cast<std::uint32_t>(prng.below(6)),
                               .breaks_in_row = 1 + static_cast<std::uint32_t>(prng.below(6))};
    FailureStreak streak;
    std::uint32_t failures = 0;
    std::uint32_t breaks = 0;
    for (int i = 0; i < 50; ++i) {
      const TryResult result = prng.chance(0.3) ? good : prng.chance(0.5) ? error : reset;
      failures = result.verdict == TryVerdict::good ? 0 : failures + 1;
      breaks = result.verdict == TryVerdict::broken ? breaks + 1 : 0;
      EXPECT_EQ(streak.count(result, drawn).has_value(), failures >= drawn.failures_in_row || breaks >= drawn.breaks_in_row);
      EXPECT_EQ(streak.clean(), failures == 0);
    }
  }
}

}  // namespace failure_streak_test
}  // namespace steelyard
