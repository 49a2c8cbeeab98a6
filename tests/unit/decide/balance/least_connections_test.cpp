#include "decide/balance/least_connections.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "base/prng.hpp"

namespace steelyard::balance {
namespace {

using Candidates = std::vector<Candidate>;

TEST(LeastConnections, takes_the_smallest_load_for_its_weight) {
  const Candidates candidates{{.weight = 1, .active = 3}, {.weight = 4, .active = 8}, {.weight = 2, .active = 5}};
  for (std::uint64_t cursor = 0; cursor < 10; ++cursor) EXPECT_EQ(pick_least_connections(candidates, cursor, {}), 1U);
}

TEST(LeastConnections, equals_take_turns_one_by_one) {
  const Candidates candidates{
      {.weight = 7, .active = 1}, {.weight = 7, .active = 2}, {.weight = 7, .active = 1}, {.weight = 7, .active = 1}};
  const std::size_t turns[] = {0, 2, 3, 0, 2, 3};
  for (std::uint64_t cursor = 0; cursor < 6; ++cursor) EXPECT_EQ(pick_least_connections(candidates, cursor, {}), turns[cursor]);
}

TEST(LeastConnections, equals_of_different_weight_share_by_weight) {
  const Candidates candidates{{.weight = 1}, {.weight = 3}, {.weight = 2, .active = 1}};
  std::vector<unsigned> picks(3, 0);
  for (std::uint64_t cursor = 0; cursor < 40; ++cursor) ++picks[*pick_least_connections(candidates, cursor, {})];
  EXPECT_EQ(picks, (std::vector<unsigned>{10, 30, 0}));
}

TEST(LeastConnections, skips_tried_ones_and_weight_0) {
  const Candidates candidates{{.weight = 1, .active = 0}, {.weight = 0, .active = 0}, {.weight = 1, .active = 9}};
  const std::vector<std::uint32_t> first{0};
  const std::vector<std::uint32_t> both{0, 2};
  EXPECT_EQ(pick_least_connections(candidates, 0, first), 2U);
  EXPECT_EQ(pick_least_connections(candidates, 0, both), std::nullopt);
  EXPECT_EQ(pick_least_connections({}, 0, {}), std::nullopt);
}

TEST(LeastConnections, largest_numbers_do_not_overflow) {
  const Candidates candidates{{.weight = UINT32_MAX, .active = UINT32_MAX}, {.weight = UINT32_MAX, .active = UINT32_MAX - 1}};
  EXPECT_EQ(pick_least_connections(candidates, UINT64_MAX, {}), 1U);
}

TEST(LeastConnections, loads_settle_at_the_weights) {
  Prng prng(9);
  Candidates candidates{{.weight = 1}, {.weight = 2}, {.weight = 5}};
  for (std::uint64_t i = 0; i < 20'000; ++i) {
    if (i >= 800) {  // one random exchange ends
      auto left = prng.below(800);
      for (auto& candidate : candidates) {
        if (left < candidate.active) {
          --candidate.active;
          break;
        }
        left -= candidate.active;
      }
    }
    ++candidates[*pick_least_connections(candidates, i, {})].active;
  }
  EXPECT_NEAR(candidates[0].active, 100, 2);
  EXPECT_NEAR(candidates[1].active, 200, 2);
  EXPECT_NEAR(candidates[2].active, 500, 3);
}

}  // namespace
}  // namespace steelyard::balance
