#include "decide/balance/round_robin.hpp"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "decide/balance/plain_view.hpp"

namespace steelyard::balance {
namespace round_robin_test {

Schedule schedule_of(const PlainServers& servers) { return smooth_schedule(weights_of(servers)); }

TEST(RoundRobin, alternates_and_wraps) {
  const PlainServers servers = servers_of({1, 1, 1});
  const Schedule schedule = schedule_of(servers);
  std::atomic<std::uint64_t> cursor{0};
  for (std::size_t i = 0; i < 10; ++i) EXPECT_EQ(pick_round_robin(schedule, cursor, PlainView{servers}), i % 3);
}

TEST(RoundRobin, survives_the_end_of_the_counter) {
  const PlainServers servers = servers_of({1, 1});
  const Schedule schedule = schedule_of(servers);
  std::atomic<std::uint64_t> cursor{UINT64_MAX};
  EXPECT_EQ(pick_round_robin(schedule, cursor, PlainView{servers}), 1U);
  EXPECT_EQ(pick_round_robin(schedule, cursor, PlainView{servers}), 0U);
}

TEST(RoundRobin, goes_on_to_the_next_other_server) {
  PlainServers servers = servers_of({5, 1, 1});
  const Schedule schedule = schedule_of(servers);  // aaabaac
  std::atomic<std::uint64_t> cursor{0};
  servers[0].may_take = false;
  EXPECT_EQ(pick_round_robin(schedule, cursor, PlainView{servers}), 1U);
  EXPECT_EQ(cursor.load(), 1U);
  cursor = 4;
  EXPECT_EQ(pick_round_robin(schedule, cursor, PlainView{servers}), 2U);
  cursor = 5;
  servers[2].may_take = false;
  EXPECT_EQ(pick_round_robin(schedule, cursor, PlainView{servers}), 1U);  // past the end
}

TEST(RoundRobin, passes_over_a_weight_that_has_become_0) {
  PlainServers servers = servers_of({1, 1});
  const Schedule schedule = schedule_of(servers);
  servers[0].weight = 0;
  std::atomic<std::uint64_t> cursor{0};
  for (int i = 0; i < 4; ++i) EXPECT_EQ(pick_round_robin(schedule, cursor, PlainView{servers}), 1U);
}

TEST(RoundRobin, ends_when_nobody_may_be_taken) {
  PlainServers servers = servers_of({5, 0, 1});
  const Schedule schedule = schedule_of(servers);
  servers[0].may_take = servers[2].may_take = false;
  std::atomic<std::uint64_t> cursor{0};
  EXPECT_EQ(pick_round_robin(schedule, cursor, PlainView{servers}), std::nullopt);
  const PlainServers nobody;
  EXPECT_EQ(pick_round_robin(schedule_of(nobody), cursor, PlainView{nobody}), std::nullopt);
  const PlainServers weightless = servers_of({0});
  EXPECT_EQ(pick_round_robin(schedule_of(weightless), cursor, PlainView{weightless}), std::nullopt);
}

TEST(RoundRobin, meets_weights_exactly_over_a_cycle) {
  Prng prng(11);
  for (const std::size_t count : {1U, 2U, 3U, 10U, 100U, 1'000U, 10'000U}) {
    const PlainServers servers = servers_of(random_weights(prng, count, count < 10'000 ? 40 : 5));
    const Schedule schedule = schedule_of(servers);
    std::atomic<std::uint64_t> cursor{prng.next()};
    std::vector<std::uint64_t> picks(count, 0);
    for (std::size_t i = 0; i < schedule.turns.size(); ++i) ++picks[*pick_round_robin(schedule, cursor, PlainView{servers})];
    // The schedule's turns are the weights divided by what they have in common.
    for (std::size_t i = 0; i < count; ++i) ASSERT_EQ(picks[i] * sum(weights_of(servers)), servers[i].weight * schedule.turns.size());
  }
}

TEST(RoundRobin, takes_the_first_turn_of_those_that_may_be_taken) {
  Prng prng(12);
  for (const std::size_t count : {1U, 2U, 3U, 10U, 100U, 1'000U, 10'000U}) {
    PlainServers servers = servers_of(random_weights(prng, count, 5));
    const Schedule schedule = schedule_of(servers);
    const std::size_t turns = schedule.turns.size();
    const double available = 0.01 + 0.1 * static_cast<double>(prng.below(10));
    for (auto& server : servers) server.may_take = prng.chance(available);
    std::atomic<std::uint64_t> cursor{0};
    for (int i = 0; i < 200; ++i) {
      const std::uint64_t start = prng.below(2 * turns);
      std::optional<std::size_t> expected;
      for (std::size_t turn = 0; turn < turns && !expected; ++turn) {
        const std::size_t server = schedule.turns[(start + turn) % turns];
        if (servers[server].may_take) expected = server;
      }
      cursor = start;
      ASSERT_EQ(pick_round_robin(schedule, cursor, PlainView{servers}), expected);
      ASSERT_EQ(cursor, start + 1);
    }
  }
}

TEST(RoundRobin, workers_share_the_turns) {
  const PlainServers servers = servers_of({3, 1});
  const Schedule schedule = schedule_of(servers);
  std::atomic<std::uint64_t> cursor{0};
  std::vector<std::vector<unsigned>> picks(2, std::vector<unsigned>(2, 0));
  {
    std::vector<std::jthread> workers;
    for (auto& mine : picks) {
      workers.emplace_back([&] {
        for (int i = 0; i < 4000; ++i) ++mine[*pick_round_robin(schedule, cursor, PlainView{servers})];
      });
    }
  }
  EXPECT_EQ(picks[0][0] + picks[1][0], 6000U);
  EXPECT_EQ(picks[0][1] + picks[1][1], 2000U);
}

}  // namespace round_robin_test
}  // namespace steelyard::balance
