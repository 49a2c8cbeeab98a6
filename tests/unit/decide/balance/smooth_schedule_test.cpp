#include "decide/balance/smooth_schedule.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "base/prng.hpp"

namespace steelyard::balance {
namespace smooth_schedule_test {

std::string letters(std::span<const std::uint32_t> weights) {
  std::string text;
  for (const std::uint32_t server : smooth_schedule(weights).turns) text += static_cast<char>('a' + server);
  return text;
}
std::string letters(std::vector<std::uint32_t> weights) { return letters(std::span<const std::uint32_t>(weights)); }

std::vector<std::uint64_t> turns_of(const Schedule& schedule, std::size_t servers) {
  std::vector<std::uint64_t> turns(servers, 0);
  for (const std::uint32_t server : schedule.turns) ++turns[server];
  return turns;
}

TEST(SmoothSchedule, of_nobody_is_empty) {
  EXPECT_EQ(smooth_schedule({}).turns.size(), 0U);
  EXPECT_EQ(letters({0, 0}), "");
  EXPECT_EQ(smooth_schedule(std::vector<std::uint32_t>{0, 3, 0}).servers, 1U);
}

TEST(SmoothSchedule, spreads_turns_by_weight) {
  EXPECT_EQ(letters({1}), "a");
  EXPECT_EQ(letters({1, 1, 1}), "abc");
  EXPECT_EQ(letters({5, 1, 1}), "aaabaac");
  EXPECT_EQ(letters({2, 1}), "aab");
  EXPECT_EQ(letters({4, 1, 1, 1, 1}), "abacadae");
}

TEST(SmoothSchedule, leaves_out_weight_0) { EXPECT_EQ(letters({0, 2, 0, 2}), "bd"); }

TEST(SmoothSchedule, divides_by_what_weights_have_in_common) {
  EXPECT_EQ(letters({1000, 1000, 1000}), "abc");
  EXPECT_EQ(letters({500, 100, 100}), letters({5, 1, 1}));
}

// Over random weights: exact shares, and nowhere a whole turn ahead or behind.
TEST(SmoothSchedule, no_server_is_ever_a_turn_away_from_its_share) {
  Prng prng(3);
  for (int round = 0; round < 120; ++round) {
    const std::uint64_t weight_bound = prng.chance(0.5) ? 10 : 1000;
    std::vector<std::uint32_t> weights(prng.below(20) + 1);
    for (auto& weight : weights) weight = static_cast<std::uint32_t>(prng.below(weight_bound) + 1);
    const Schedule schedule = smooth_schedule(weights);
    const auto total = static_cast<std::int64_t>(schedule.turns.size());
    std::int64_t weight_sum = 0;
    for (const auto weight : weights) weight_sum += weight;
    ASSERT_EQ(weight_sum % total, 0);
    std::vector<std::int64_t> lag(weights.size(), 0);  // in fractions of `total`
    for (const std::uint32_t server : schedule.turns) {
      for (std::size_t i = 0; i < weights.size(); ++i) lag[i] += weights[i] / (weight_sum / total);
      lag[server] -= total;
      for (const std::int64_t behind : lag) ASSERT_LT(std::abs(behind), total) << "round " << round;
    }
    for (const std::int64_t behind : lag) ASSERT_EQ(behind, 0);
  }
}

TEST(SmoothSchedule, ten_thousand_servers_stay_within_the_bound) {
  Prng prng(4);
  std::vector<std::uint32_t> weights(10'000);
  for (auto& weight : weights) weight = static_cast<std::uint32_t>(prng.below(1000) + 1);
  weights[0] = 1;
  weights[1] = weights[2] = 1000;
  const Schedule schedule = smooth_schedule(weights);
  EXPECT_LE(schedule.turns.size(), schedule_turns_max);
  EXPECT_EQ(schedule.servers, weights.size());
  const auto turns = turns_of(schedule, weights.size());
  EXPECT_EQ(std::ranges::count(turns, std::uint64_t{0}), 0);
  EXPECT_EQ(turns[0], 1U);
  EXPECT_EQ(turns[1], turns[2]);
  EXPECT_GT(turns[1], 8U);
}

TEST(SmoothSchedule, scaling_keeps_ratios) {
  std::vector<std::uint32_t> weights;
  for (int i = 0; i < 250; ++i) weights.insert(weights.end(), {1000, 499});
  const Schedule schedule = smooth_schedule(weights);
  EXPECT_LE(schedule.turns.size(), schedule_turns_max);
  const auto turns = turns_of(schedule, weights.size());
  EXPECT_NEAR(static_cast<double>(turns[0]) / static_cast<double>(turns[1]), 1000.0 / 499.0, 0.05);
}

TEST(SmoothSchedule, more_servers_than_turns_get_one_each) {
  std::vector<std::uint32_t> weights(schedule_turns_max + 1, 1);
  weights[0] = 2;
  EXPECT_EQ(smooth_schedule(weights).turns.size(), weights.size());
}

}  // namespace smooth_schedule_test
}  // namespace steelyard::balance
