#include "decide/balance/least_connections.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "decide/balance/plain_view.hpp"

namespace steelyard::balance {
namespace least_connections_test {

WeightedLoad load_of(const PlainServer& server) { return {server.active, server.weight}; }

// Remembers the smallest load of those that were looked at and may be taken, and how many looks there were.
struct WatchingView : PlainView {
  explicit WatchingView(const PlainServers& given) : PlainView{given} {}
  [[nodiscard]] std::uint32_t active(std::size_t position) const {
    ++looks;
    if (servers[position].may_take && servers[position].weight != 0) smallest = std::min(smallest, load_of(servers[position]));
    return PlainView::active(position);
  }
  mutable WeightedLoad smallest;
  mutable std::size_t looks = 0;
};

// A pool and one worker's memory of it; others can be given to pick().
struct Pool {
  explicit Pool(PlainServers given) : servers(std::move(given)), schedule(smooth_schedule(weights_of(servers))) {}
  explicit Pool(const std::vector<std::uint32_t>& weights) : Pool(servers_of(weights)) {}

  std::optional<std::size_t> pick() { return pick(memory); }
  std::optional<std::size_t> pick(LeastConnectionsMemory& of_worker) {
    return pick_least_connections(schedule, cursor, of_worker, PlainView{servers});
  }
  std::vector<unsigned> count(std::size_t picks) {
    std::vector<unsigned> counts(servers.size(), 0);
    for (std::size_t i = 0; i < picks; ++i) ++counts[*pick()];
    return counts;
  }
  WeightedLoad smallest() const {
    WeightedLoad result;
    for (const auto& server : servers) {
      if (server.may_take && server.weight != 0) result = std::min(result, load_of(server));
    }
    return result;
  }

  PlainServers servers;
  Schedule schedule;
  std::atomic<std::uint64_t> cursor{0};
  LeastConnectionsMemory memory;
};

TEST(LeastConnections, takes_the_smallest_load_for_its_weight) {
  Pool pool({{.weight = 1, .active = 3}, {.weight = 4, .active = 8}, {.weight = 2, .active = 5}});
  EXPECT_EQ(pool.count(10), (std::vector<unsigned>{0, 10, 0}));
}

TEST(LeastConnections, idle_servers_take_turns_by_weight) {
  Pool pool(std::vector<std::uint32_t>{1, 3, 2});
  EXPECT_EQ(pool.count(60), (std::vector<unsigned>{10, 30, 20}));
}

TEST(LeastConnections, busy_equals_take_turns) {
  Pool pool({{.weight = 7, .active = 1}, {.weight = 7, .active = 2}, {.weight = 7, .active = 1}, {.weight = 7, .active = 1}});
  const auto counts = pool.count(300);
  EXPECT_EQ(counts[1], 0U);
  for (const std::size_t i : {0U, 2U, 3U}) EXPECT_NEAR(counts[i], 100, 2);
}

// Several turns are looked at for each pick of eight and more; that must not keep the same few equals in turn.
TEST(LeastConnections, busy_equals_take_turns_whatever_the_size) {
  for (std::size_t size = 1; size <= 300; size += size < 40 ? 1 : 13) {
    Pool pool(PlainServers(size, {.weight = 3, .active = 2}));
    for (std::size_t i = 2; i < size; ++i) pool.servers[i].active = 9;
    const std::size_t equals = std::min<std::size_t>(size, 2);
    const auto counts = pool.count(200);
    for (std::size_t i = 0; i < equals; ++i) EXPECT_NEAR(counts[i], 200 / equals, 6) << size << " servers";
  }
}

TEST(LeastConnections, busy_equals_of_different_weight_share_by_weight) {
  // Also in the units of a slow start.
  for (const std::uint32_t unit : {1U, 10U, 1U << 18U}) {
    Pool pool({{.weight = unit, .active = 1}, {.weight = 3 * unit, .active = 3}, {.weight = 2 * unit, .active = 3}});
    const auto counts = pool.count(400);
    EXPECT_NEAR(counts[0], 100, 2);
    EXPECT_NEAR(counts[1], 300, 2);
    EXPECT_EQ(counts[2], 0U);
  }
}

TEST(LeastConnections, equals_of_a_large_pool_share_by_weight_and_none_waits_long) {
  Prng prng(2);
  for (const std::size_t size : {129U, 1'000U, 10'000U}) {
    PlainServers servers;
    for (const std::uint32_t weight : random_weights(prng, size, 4)) servers.push_back({.weight = weight, .active = 5 * weight});
    Pool pool(std::move(servers));
    const auto counts = pool.count(sum(weights_of(pool.servers)) * 4);
    for (std::size_t i = 0; i < size; ++i) ASSERT_NEAR(counts[i], 4 * pool.servers[i].weight, 3) << size << " servers";
  }
}

TEST(LeastConnections, skips_who_may_not_be_taken_and_weight_0) {
  Pool pool({{.weight = 1}, {.weight = 0}, {.weight = 1, .active = 9}});
  pool.servers[0].may_take = false;
  EXPECT_EQ(pool.pick(), 2U);
  pool.servers[2].may_take = false;
  EXPECT_EQ(pool.pick(), std::nullopt);
  EXPECT_EQ(Pool(PlainServers{}).pick(), std::nullopt);
  EXPECT_EQ(Pool(PlainServers(300, {.weight = 0})).pick(), std::nullopt);
  EXPECT_EQ(Pool(PlainServers(300, {.active = 1, .may_take = false})).pick(), std::nullopt);
}

TEST(LeastConnections, largest_numbers_do_not_overflow) {
  for (const std::size_t size : {2U, 200U}) {
    Pool pool(std::vector<std::uint32_t>(size, 1));
    for (auto& server : pool.servers) server = {.weight = UINT32_MAX, .active = UINT32_MAX};
    pool.servers[1].active = UINT32_MAX - 1;
    pool.cursor = UINT64_MAX;
    EXPECT_EQ(pool.pick(), 1U);
  }
}

TEST(LeastConnections, is_exact_in_small_pools) {
  Prng prng(3);
  for (int round = 0; round < 1000; ++round) {
    Pool pool(random_weights(prng, prng.below(129), 5));
    const auto configured = weights_of(pool.servers);
    for (int pick = 0; pick < 4; ++pick) {
      for (std::size_t i = 0; i < pool.servers.size(); ++i) {
        // Slow start: the view has weights of its own.
        const auto weight = static_cast<std::uint32_t>(configured[i] * prng.below(1U << 18U));
        pool.servers[i] = {
            .weight = weight, .active = static_cast<std::uint32_t>(1 + prng.below(1 + weight / 8)), .may_take = prng.chance(0.8)};
      }
      const WeightedLoad smallest = pool.smallest();
      const auto picked = pool.pick();
      ASSERT_EQ(picked.has_value(), smallest.weight != 0);
      if (!picked) continue;
      ASSERT_TRUE(pool.servers[*picked].may_take);
      ASSERT_EQ(load_of(pool.servers[*picked]), smallest);
    }
  }
}

// Two workers choose, exchanges end by chance, servers come and go.
TEST(LeastConnections, takes_none_busier_than_the_least_busy_that_it_saw) {
  for (const std::size_t size : {129U, 1'000U, 10'000U}) {
    Prng prng(size);
    Pool pool(random_weights(prng, size, 3));
    Exchanges exchanges(pool.servers, size);
    for (std::size_t i = 0; i < 8 * size; ++i) exchanges.begin(pool.schedule.turns[prng.below(pool.schedule.turns.size())]);
    LeastConnectionsMemory memories[2];
    std::size_t looks_most = 0;
    for (std::size_t i = 0; i < 2'000 + size; ++i) {
      if (prng.chance(0.01)) pool.servers[prng.below(size)].may_take ^= true;
      const WatchingView view(pool.servers);
      const auto picked = pick_least_connections(pool.schedule, pool.cursor, memories[prng.below(2)], view);
      ASSERT_TRUE(picked);
      ASSERT_TRUE(pool.servers[*picked].may_take);
      ASSERT_EQ(load_of(pool.servers[*picked]), view.smallest);
      if (i > 100) looks_most = std::max(looks_most, view.looks);  // the first ones fill the memories
      exchanges.begin(*picked);
      exchanges.end_one();
    }
    // Four blocks, and one of them again for the turn.
    EXPECT_LE(looks_most, 5 * (std::sqrt(static_cast<double>(size)) + 1) + 16) << size << " servers";
  }
}

TEST(LeastConnections, sees_soon_who_became_idle_at_another_worker) {
  for (const std::size_t size : {129U, 1'000U, 10'000U}) {
    Pool pool(PlainServers(size, {.active = 5}));
    pool.pick();
    Prng prng(size);
    for (int round = 0; round < 20; ++round) {
      const std::size_t freed = prng.below(size);
      pool.servers[freed].active = 1;
      std::size_t picks = 1;
      while (pool.pick() != freed && picks <= size) ++picks;
      EXPECT_LE(picks, std::ceil(std::sqrt(static_cast<double>(size))) + 1);
      pool.servers[freed].active = 5;
      pool.pick();
    }
  }
}

TEST(LeastConnections, does_not_trust_a_memory_of_who_has_become_busy) {
  Pool pool(PlainServers(1'000, {.active = 5}));
  pool.servers[0].active = 1;
  pool.servers[700].active = 3;
  ASSERT_EQ(pool.pick(), 0U);
  pool.servers[0].active = 9;  // another worker chose it, and the next best is remembered
  ASSERT_EQ(pool.pick(), 700U);
}

TEST(LeastConnections, finds_the_only_one_where_nobody_was_remembered) {
  Pool pool(PlainServers(10'000, {.active = 5, .may_take = false}));
  pool.servers[1].may_take = true;
  EXPECT_EQ(pool.pick(), 1U);
  pool.servers[1].may_take = false;
  pool.servers[9'876].may_take = true;
  EXPECT_EQ(pool.pick(), 9'876U);
  pool.servers[9'876].may_take = false;
  EXPECT_EQ(pool.pick(), std::nullopt);
}

TEST(LeastConnections, memory_follows_the_number_of_servers) {
  LeastConnectionsMemory memory;
  for (const std::size_t size : {10'000U, 129U, 0U, 5'000U, 1U, 130U, 129U}) {
    Pool pool(PlainServers(size, {.active = 5}));
    if (size == 0) {
      EXPECT_EQ(pool.pick(memory), std::nullopt);
      continue;
    }
    pool.servers[size - 1].active = 2;
    EXPECT_EQ(pool.pick(memory), size - 1);
  }
}

TEST(LeastConnections, loads_settle_at_the_weights) {
  Pool pool(std::vector<std::uint32_t>{1, 2, 5});
  Exchanges exchanges(pool.servers, 9);
  for (int i = 0; i < 20'000; ++i) {
    if (exchanges.count() == 800) exchanges.end_one();
    exchanges.begin(*pool.pick());
  }
  EXPECT_NEAR(pool.servers[0].active, 100, 2);
  EXPECT_NEAR(pool.servers[1].active, 200, 2);
  EXPECT_NEAR(pool.servers[2].active, 500, 3);
}

TEST(LeastConnections, two_workers_keep_a_large_pool_nearly_as_even_as_one_who_looks_at_all) {
  for (const std::size_t size : {1'000U, 10'000U}) {
    Pool pool(std::vector<std::uint32_t>(size, 1));
    Exchanges exchanges(pool.servers, 4);
    for (std::size_t i = 0; i < 10 * size; ++i) exchanges.begin(i % size);
    LeastConnectionsMemory memories[2];
    std::uint64_t above_least = 0;
    std::uint64_t picks = 0;
    for (std::size_t i = 0; i < 4 * size; ++i) {
      exchanges.end_one();
      const auto picked = pool.pick(memories[i % 2]);
      if (i > 2 * size && i % 97 == 0) {
        above_least += pool.servers[*picked].active - pool.smallest().active;
        ++picks;
      }
      exchanges.begin(*picked);
    }
    EXPECT_LT(above_least * 2, picks);
    EXPECT_LE(std::ranges::max(pool.servers, {}, &PlainServer::active).active, 12U);
  }
}

}  // namespace least_connections_test
}  // namespace steelyard::balance
