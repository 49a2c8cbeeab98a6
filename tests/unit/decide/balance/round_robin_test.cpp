#include "decide/balance/round_robin.hpp"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace steelyard::balance {
namespace {

Schedule schedule_of(std::vector<std::uint32_t> weights) { return smooth_schedule(weights); }

TEST(RoundRobin, alternates_and_wraps) {
  const Schedule schedule = schedule_of({1, 1, 1});
  std::atomic<std::uint64_t> cursor{0};
  for (std::size_t i = 0; i < 10; ++i) EXPECT_EQ(pick_round_robin(schedule, cursor, {}), i % 3);
}

TEST(RoundRobin, survives_the_end_of_the_counter) {
  const Schedule schedule = schedule_of({1, 1});
  std::atomic<std::uint64_t> cursor{UINT64_MAX};
  EXPECT_EQ(pick_round_robin(schedule, cursor, {}), 1U);
  EXPECT_EQ(pick_round_robin(schedule, cursor, {}), 0U);
}

TEST(RoundRobin, goes_on_to_the_next_other_server) {
  const Schedule schedule = schedule_of({5, 1, 1});  // aaabaac
  std::atomic<std::uint64_t> cursor{0};
  const std::vector<std::uint32_t> tried{0};
  EXPECT_EQ(pick_round_robin(schedule, cursor, tried), 1U);
  EXPECT_EQ(cursor.load(), 1U);
  cursor = 4;
  EXPECT_EQ(pick_round_robin(schedule, cursor, tried), 2U);
  cursor = 5;
  EXPECT_EQ(pick_round_robin(schedule, cursor, std::vector<std::uint32_t>{0, 2}), 1U);  // past the end
}

TEST(RoundRobin, ends_when_all_were_tried) {
  const Schedule schedule = schedule_of({5, 0, 1});
  std::atomic<std::uint64_t> cursor{0};
  EXPECT_EQ(pick_round_robin(schedule, cursor, std::vector<std::uint32_t>{0, 2}), std::nullopt);
  EXPECT_EQ(pick_round_robin(schedule_of({}), cursor, {}), std::nullopt);
  EXPECT_EQ(pick_round_robin(schedule_of({0}), cursor, {}), std::nullopt);
}

TEST(RoundRobin, workers_share_the_turns) {
  const Schedule schedule = schedule_of({3, 1});
  std::atomic<std::uint64_t> cursor{0};
  std::vector<std::vector<unsigned>> picks(2, std::vector<unsigned>(2, 0));
  {
    std::vector<std::jthread> workers;
    for (auto& mine : picks) {
      workers.emplace_back([&] {
        for (int i = 0; i < 4000; ++i) ++mine[*pick_round_robin(schedule, cursor, {})];
      });
    }
  }
  EXPECT_EQ(picks[0][0] + picks[1][0], 6000U);
  EXPECT_EQ(picks[0][1] + picks[1][1], 2000U);
}

}  // namespace
}  // namespace steelyard::balance
