// Pools: who is chosen, by which algorithm, among whom.
#include "upstream/pool.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace steelyard {
namespace {

const IpAddress client = *IpAddress::parse("192.0.2.7");

PoolOptions options_of(Algorithm algorithm, std::initializer_list<std::uint32_t> weights) {
  PoolOptions options;
  options.algorithm = algorithm;
  for (const std::uint32_t weight : weights) {
    const std::string id(1, static_cast<char>('a' + options.servers.size()));
    options.servers.push_back({id, "127.0.0.1", 80, weight, {}});
  }
  return options;
}

struct PoolUnderTest {
  PoolUnderTest(Algorithm algorithm, std::initializer_list<std::uint32_t> weights)
      : addresses(weights.size(), *SocketAddress::parse("127.0.0.1:80")), pool(options_of(algorithm, weights), addresses, 5) {}

  Server* at(std::size_t i) { return pool.servers()[i].get(); }
  std::map<std::string, int> count(int picks) {
    std::map<std::string, int> counts;
    for (int i = 0; i < picks; ++i) ++counts[view.pick(client, {})->id];
    return counts;
  }
  void fail(std::size_t i) { pool.set_health(*at(i), Health::unhealthy, "refused", 1); }

  std::vector<SocketAddress> addresses;
  Pool pool;
  PoolView view{pool};
};

using Counts = std::map<std::string, int>;

TEST(Pool, servers_have_their_places_among_all_of_the_process) {
  PoolUnderTest under(Algorithm::round_robin, {1, 1});
  EXPECT_EQ(under.at(0)->slot, 5U);
  EXPECT_EQ(under.at(1)->slot, 6U);
  EXPECT_EQ(under.at(0)->authority, "127.0.0.1:80");
}

TEST(Pool, round_robin_gives_turns_by_weight) {
  PoolUnderTest under(Algorithm::round_robin, {3, 1});
  EXPECT_EQ(under.count(400), (Counts{{"a", 300}, {"b", 100}}));
}

TEST(Pool, round_robin_alternates_over_all_views) {
  PoolUnderTest under(Algorithm::round_robin, {1, 1});
  PoolView second(under.pool);
  const Server* const first = under.view.pick(client, {});
  EXPECT_NE(second.pick(client, {}), first);
  EXPECT_EQ(under.view.pick(client, {}), first);
}

TEST(Pool, least_connections_takes_the_lightest_for_its_weight) {
  PoolUnderTest under(Algorithm::least_connections, {1, 4});
  under.at(0)->active = 1;
  under.at(1)->active = 3;
  EXPECT_EQ(under.view.pick(client, {}), under.at(1));
  under.at(1)->active = 5;
  EXPECT_EQ(under.view.pick(client, {}), under.at(0));
}

TEST(Pool, ip_hash_keeps_a_client_with_its_server_and_spreads_clients) {
  PoolUnderTest under(Algorithm::ip_hash, {1, 1, 1});
  std::set<Server*> used;
  for (std::uint32_t i = 0; i < 60; ++i) {
    const IpAddress ip = IpAddress::v4(0xc0000200U + i);
    Server* const chosen = under.view.pick(ip, {});
    used.insert(chosen);
    EXPECT_EQ(under.view.pick(ip, {}), chosen);
    EXPECT_EQ(PoolView(under.pool).pick(ip, {}), chosen);
  }
  EXPECT_EQ(used.size(), 3U);
}

TEST(Pool, every_algorithm_takes_none_that_was_tried_until_there_is_none_left) {
  for (const Algorithm algorithm : {Algorithm::round_robin, Algorithm::least_connections, Algorithm::ip_hash}) {
    PoolUnderTest under(algorithm, {1, 5, 1, 2});
    std::vector<Server*> tried;
    for (int i = 0; i < 4; ++i) {
      Server* const next = under.view.pick(client, tried);
      ASSERT_NE(next, nullptr);
      EXPECT_EQ(std::ranges::count(tried, next), 0);
      tried.push_back(next);
    }
    EXPECT_EQ(under.view.pick(client, tried), nullptr);
  }
}

TEST(Pool, a_tried_server_that_has_been_taken_out_since_does_not_count_for_another) {
  for (const Algorithm algorithm : {Algorithm::round_robin, Algorithm::least_connections, Algorithm::ip_hash}) {
    PoolUnderTest under(algorithm, {1, 1});
    Server* const tried[] = {under.at(0)};
    under.fail(0);
    EXPECT_EQ(under.view.pick(client, tried), under.at(1));
  }
}

TEST(Pool, as_many_may_have_been_tried_as_tries_are_configurable) {
  PoolUnderTest under(Algorithm::round_robin, {1, 1, 1, 1, 1, 1, 1, 1});
  std::vector<Server*> tried;
  while (Server* const next = under.view.pick(client, tried)) tried.push_back(next);
  EXPECT_EQ(tried.size(), 8U);
}

TEST(Pool, an_unhealthy_server_gets_nothing_until_it_is_back) {
  PoolUnderTest under(Algorithm::round_robin, {1, 1});
  under.count(2);
  under.fail(0);
  EXPECT_EQ(under.count(10), (Counts{{"b", 10}}));
  under.fail(1);
  EXPECT_EQ(under.view.pick(client, {}), nullptr);
  under.pool.set_health(*under.at(0), Health::healthy, "health check passed", 2);
  EXPECT_EQ(under.count(10), (Counts{{"a", 10}}));
}

TEST(Pool, the_version_moves_only_with_who_takes_traffic) {
  PoolUnderTest under(Algorithm::round_robin, {1, 1});
  const std::uint64_t before = under.pool.version();
  under.pool.set_health(*under.at(0), Health::healthy, "health check passed", 1);
  EXPECT_EQ(under.pool.version(), before);
  under.fail(0);
  EXPECT_EQ(under.pool.version(), before + 1);
  under.pool.set_health(*under.at(0), Health::unhealthy, "timed out", 3);
  EXPECT_EQ(under.pool.version(), before + 1);
  EXPECT_EQ(under.at(0)->health().reason, "timed out");
  EXPECT_EQ(under.at(0)->health().since_unix_s, 3);
}

TEST(Pool, members_once_taken_do_not_change) {
  PoolUnderTest under(Algorithm::round_robin, {1, 1});
  const auto members = under.pool.members();
  under.fail(0);
  EXPECT_EQ(members->servers.size(), 2U);
  EXPECT_EQ(under.pool.members()->servers, std::vector<Server*>{under.at(1)});
}

TEST(Pool, a_pool_without_servers_has_none_to_choose) {
  for (const Algorithm algorithm : {Algorithm::round_robin, Algorithm::least_connections, Algorithm::ip_hash}) {
    PoolUnderTest under(algorithm, {});
    EXPECT_EQ(under.view.pick(client, {}), nullptr);
  }
}

TEST(Server, one_not_checked_yet_takes_traffic) {
  PoolUnderTest under(Algorithm::round_robin, {1});
  EXPECT_EQ(under.at(0)->health().health, Health::unknown);
  EXPECT_TRUE(under.at(0)->takes_traffic());
  under.fail(0);
  EXPECT_FALSE(under.at(0)->takes_traffic());
}

}  // namespace
}  // namespace steelyard
