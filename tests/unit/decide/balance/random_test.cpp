#include "decide/balance/random.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <vector>

#include "decide/balance/plain_view.hpp"

namespace steelyard::balance {
namespace random_test {

struct Pool {
  explicit Pool(const std::vector<std::uint32_t>& weights, std::uint64_t seed = 1)
      : servers(servers_of(weights)), schedule(smooth_schedule(weights)), prng(seed) {}

  std::optional<std::size_t> pick() { return pick_random(schedule, prng, PlainView{servers}); }
  std::vector<unsigned> count(int picks) {
    std::vector<unsigned> counts(servers.size(), 0);
    for (int i = 0; i < picks; ++i) ++counts[*pick()];
    return counts;
  }

  PlainServers servers;
  Schedule schedule;
  Prng prng;
};

TEST(Random, takes_the_less_busy_of_two) {
  Pool pool({1, 1});
  pool.servers[0].active = 3;
  pool.servers[1].active = 2;
  EXPECT_EQ(pool.count(1000), (std::vector<unsigned>{0, 1000}));
}

TEST(Random, what_counts_is_load_for_the_weight_of_now) {
  Pool pool({2, 1});
  pool.servers[0].active = 5;
  pool.servers[1].active = 3;
  EXPECT_EQ(pool.count(1000), (std::vector<unsigned>{1000, 0}));
  pool.servers[0].weight = 1;  // slow start: the schedule says more than the view
  EXPECT_EQ(pool.count(1000)[1], 1000U);
}

TEST(Random, the_busiest_of_all_is_never_taken) {
  Pool pool({1, 1, 1, 1});
  pool.servers[2].active = 1;
  const auto counts = pool.count(4000);
  EXPECT_EQ(counts[2], 0U);
  for (const std::size_t other : {0U, 1U, 3U}) EXPECT_NEAR(counts[other], 4000.0 / 3, 150);
}

TEST(Random, idle_servers_share_by_weight) {
  Pool pool({1, 2, 5});
  const auto counts = pool.count(40'000);
  EXPECT_NEAR(counts[0], 5'000, 400);
  EXPECT_NEAR(counts[1], 10'000, 500);
  EXPECT_NEAR(counts[2], 25'000, 600);
}

TEST(Random, compares_with_a_light_server_beside_a_heavy_one) {
  Pool pool({50, 1});
  pool.servers[0].active = 51;
  const auto counts = pool.count(10'000);
  EXPECT_GT(counts[1], 3'000U);  // by its weight it would be drawn first for 200
}

TEST(Random, takes_all_and_only_those_that_may_be_taken) {
  for (const std::size_t count : {1U, 2U, 3U, 10U, 100U, 1'000U, 10'000U}) {
    Pool pool(std::vector<std::uint32_t>(count, 1), count);
    std::set<std::size_t> available;
    for (std::size_t i = 0; i < count; ++i) {
      pool.servers[i].may_take = i % 7 == 0;
      if (pool.servers[i].may_take) available.insert(i);
    }
    std::set<std::size_t> taken;
    for (std::size_t i = 0; i < 20 * count; ++i) taken.insert(*pool.pick());
    EXPECT_EQ(taken, available);
  }
}

TEST(Random, finds_the_only_one) {
  for (const std::size_t count : {1U, 2U, 10U, 10'000U}) {
    Pool pool(std::vector<std::uint32_t>(count, 1));
    for (auto& server : pool.servers) server.may_take = false;
    pool.servers[count / 2].may_take = true;
    for (int i = 0; i < 20; ++i) EXPECT_EQ(pool.pick(), count / 2);
  }
  Pool pool({65'535, 1});
  pool.servers[0].may_take = false;
  EXPECT_EQ(pool.pick(), 1U);
}

TEST(Random, ends_when_nobody_may_be_taken) {
  EXPECT_EQ(Pool({}).pick(), std::nullopt);
  EXPECT_EQ(Pool({0, 0}).pick(), std::nullopt);
  Pool pool({1, 0, 3});
  pool.servers[0].may_take = pool.servers[2].may_take = false;
  EXPECT_EQ(pool.pick(), std::nullopt);
  pool.servers[2].may_take = true;
  EXPECT_EQ(pool.pick(), 2U);
  pool.servers[2].weight = 0;
  EXPECT_EQ(pool.pick(), std::nullopt);
}

// Exchanges for each unit of weight, of the busiest server over the least busy.
double spread(const PlainServers& servers) {
  const auto [least, most] = std::ranges::minmax(servers, {}, [](const PlainServer& s) { return 1.0 * s.active / s.weight; });
  return 1.0 * most.active / most.weight - 1.0 * least.active / least.weight;
}

TEST(Random, two_choices_are_much_more_even_than_one) {
  for (const std::size_t count : {10U, 100U, 1'000U, 10'000U}) {
    for (const std::uint64_t weight_max : {1U, 4U}) {
      Prng prng(count + weight_max);
      const auto weights = random_weights(prng, count, weight_max);
      Pool two(weights, 5);
      Pool one(weights, 6);
      const std::uint64_t exchanges = sum(weights) * (count < 10'000 ? 100 : 20);
      for (std::uint64_t i = 0; i < exchanges; ++i) {
        ++two.servers[*two.pick()].active;
        ++one.servers[one.schedule.turns[one.prng.below(one.schedule.turns.size())]].active;
      }
      EXPECT_LT(spread(two.servers) * 3, spread(one.servers)) << count << " servers, weights to " << weight_max;
      EXPECT_LE(spread(two.servers), 9) << count << " servers, weights to " << weight_max;
    }
  }
}

}  // namespace random_test
}  // namespace steelyard::balance
