// What one process has found out about servers, in the pool of another.
#include <gtest/gtest.h>

#include "upstream/knowledge.hpp"
#include "upstream/pool.hpp"

namespace steelyard {
namespace pool_knowledge_test {

constexpr TryResult broken{TryVerdict::broken, 0};
constexpr Moment early{Instant{1'000'000'000'000}, 1000};
constexpr Moment late{Instant{1'005'000'000'000}, 1005};

struct Pools {
  static PoolOptions options() {
    PoolOptions options;
    options.name = "app";
    options.health = HealthOptions{};
    options.outliers = OutlierOptions{.breaks_in_row = 1, .ejection = 60s};
    for (const char* id : {"a", "b", "c", "d"}) options.servers.push_back({.id = id, .host = "127.0.0.1", .port = 80});
    return options;
  }
  explicit Pools(const PoolOptions& later_options = options()) : later(later_options, addresses, 3) {}
  void hand_over() { later.restore(earlier.knowledge(), late); }
  [[nodiscard]] const Server& at(std::size_t i) const { return *later.servers()[i]; }

  const std::vector<SocketAddress> addresses{4, *SocketAddress::parse("127.0.0.1:80")};
  Pool earlier{options(), addresses, 1};
  Pool later;
};

TEST(PoolKnowledge, what_checks_have_found_holds_since_then_until_a_check_passes) {
  Pools pools;
  pools.earlier.set_health(*pools.earlier.servers()[0], Health::unhealthy, "refused", early);
  pools.earlier.set_health(*pools.earlier.servers()[1], Health::healthy, "passed", early);
  pools.earlier.on_check(*pools.earlier.servers()[2], {Health::healthy, true, "leave me"}, early);
  pools.hand_over();
  EXPECT_EQ(pools.at(0).standing().state, "unhealthy");
  EXPECT_EQ(pools.at(0).standing().reason, "refused");
  EXPECT_EQ(pools.at(0).standing().since_unix_s, 1000);
  EXPECT_EQ(pools.at(1).health(), Health::healthy);
  EXPECT_EQ(pools.at(1).standing().since_unix_s, 1000);
  EXPECT_EQ(pools.at(2).standing().state, "draining");
  EXPECT_EQ(pools.later.members()->groups.front().primary.weight_sum, 2U) << "two take traffic";
  pools.later.set_health(*pools.later.servers()[0], Health::healthy, "passed", late);
  EXPECT_TRUE(pools.at(0).takes_traffic());
}

TEST(PoolKnowledge, an_ejected_server_comes_back_when_its_time_is_over) {
  Pools pools;
  pools.earlier.on_try(*pools.earlier.servers()[0], broken, Pools::options().outliers, false, early);
  pools.earlier.on_unreachable(*pools.earlier.servers()[1], "refused", early);
  pools.hand_over();
  EXPECT_EQ(pools.at(0).standing().state, "ejected");
  EXPECT_EQ(pools.at(0).ejections.load(), 1U);
  EXPECT_EQ(pools.at(1).standing().state, "unreachable");
  EXPECT_EQ(pools.later.claim_probe(pools.later.members()->groups.front(), {}, true, late.now).get(), &pools.at(1));
  EXPECT_EQ(pools.later.claim_probe(pools.later.members()->groups.front(), {}, true, late.now), nullptr);
  EXPECT_EQ(pools.later.claim_probe(pools.later.members()->groups.front(), {}, true, early.now + 61s).get(), &pools.at(0));
}

TEST(PoolKnowledge, without_checks_nothing_of_theirs_holds_a_server_for_ever) {
  PoolOptions options = Pools::options();
  options.health.reset();
  Pools pools(options);
  pools.earlier.set_health(*pools.earlier.servers()[0], Health::unhealthy, "refused", early);
  pools.hand_over();
  EXPECT_TRUE(pools.at(0).takes_traffic());
}

TEST(PoolKnowledge, a_server_that_was_checked_need_not_wait_for_its_first_check) {
  PoolOptions options = Pools::options();
  options.health->before_traffic = true;
  Pools pools(options);
  EXPECT_FALSE(pools.at(0).takes_traffic());
  pools.earlier.set_health(*pools.earlier.servers()[0], Health::healthy, "passed", early);
  pools.hand_over();
  EXPECT_TRUE(pools.at(0).takes_traffic());
  EXPECT_EQ(pools.at(1).standing().state, "unchecked") << "of that one nothing was known";
}

TEST(PoolKnowledge, estimates_and_counts_go_on) {
  Pools pools;
  Server& before = *pools.earlier.servers()[3];
  for (int i = 0; i < 50; ++i) before.load.estimate.on_answer(7ms, 1, early.now);
  before.shard(0).metrics.requests.add(50);
  before.shard(0).metrics.connections_reused.add(49);
  pools.hand_over();
  EXPECT_EQ(pools.at(3).load.estimate.latency_us(), before.load.estimate.latency_us());
  EXPECT_EQ(pools.at(3).load.estimate.peak_us(late.now), before.load.estimate.peak_us(late.now));
  pools.later.servers()[3]->shard(2).metrics.requests.add(2);
  EXPECT_EQ(pools.at(3).counts(), (ServerCounts{.requests = 52, .connections_reused = 49}));
  EXPECT_EQ(pools.at(3).totals().requests, 2U) << "comparisons go by what this process has seen";
  before.shard(0).metrics.requests.add(1);
  pools.later.servers()[3]->continue_from(before.counts());
  EXPECT_EQ(pools.at(3).counts().requests, 53U);
}

TEST(PoolKnowledge, a_server_of_that_name_elsewhere_is_another_one) {
  Pools pools;
  auto known = pools.earlier.knowledge();
  known[0].address.port = 81;
  known[0].counts.requests = 5;
  pools.later.restore(known, late);
  EXPECT_EQ(pools.at(0).counts().requests, 0U);
}

}  // namespace pool_knowledge_test
}  // namespace steelyard
