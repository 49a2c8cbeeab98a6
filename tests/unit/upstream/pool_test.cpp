// Pools: who is chosen, by which algorithm, among whom; what tries and checks make of the servers.
#include "upstream/pool.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "upstream/pool_view.hpp"

namespace steelyard {
namespace pool_test {

constexpr Algorithm algorithms[] = {Algorithm::adaptive, Algorithm::round_robin, Algorithm::least_connections,
                                    Algorithm::ip_hash,  Algorithm::hash,        Algorithm::random,
                                    Algorithm::fastest};
constexpr TryResult good{};
constexpr TryResult error_500{TryVerdict::error_status, 500};
using Counts = std::map<std::string, int>;

// Nobody connects here; a view only wants to know its thread.
class NoConnector final : public Connector {
 public:
  Result<std::unique_ptr<Stream>> connect(const SocketAddress& /*to*/) override { return fail(ErrorKind::refused); }
  Scheduler& scheduler() override { return scheduler_; }
  void post(std::function<void()> work) override { work(); }

 private:
  Scheduler scheduler_{Instant{0}};
};

struct Under {
  Under(PoolOptions options, std::initializer_list<std::uint32_t> weights)
      : pool(with_servers(std::move(options), weights), addresses, 2) {}
  Under(Algorithm algorithm, std::initializer_list<std::uint32_t> weights) : Under(options_of(algorithm), weights) {}

  static PoolOptions options_of(Algorithm algorithm) {
    PoolOptions options;
    options.algorithm = algorithm;
    options.slow_start.window = Duration{0};
    return options;
  }
  PoolOptions with_servers(PoolOptions options, std::initializer_list<std::uint32_t> weights) {
    for (const std::uint32_t weight : weights) {
      const std::string id(1, static_cast<char>('a' + options.servers.size()));
      options.servers.push_back({.id = id, .host = "127.0.0.1", .port = 80, .weight = weight});
    }
    addresses.assign(options.servers.size(), *SocketAddress::parse("127.0.0.1:80"));
    return options;
  }

  Server& at(std::size_t i) { return *pool.servers()[i]; }
  [[nodiscard]] Moment moment() const { return {now, now.ns / 1'000'000'000}; }
  Server* pick(std::vector<Server*> tried = {}, std::uint64_t key = 7) {
    const auto place = view.take({.key_hash = key, .tried = tried}, now);
    return place ? place->server() : nullptr;
  }
  Counts count(int picks) {
    Counts counts;
    for (int i = 0; i < picks; ++i) ++counts[pick()->id];
    return counts;
  }
  void fail_check(std::size_t i) { pool.set_health(at(i), Health::unhealthy, "refused", moment()); }
  void pass_check(std::size_t i) { pool.set_health(at(i), Health::healthy, "health check passed", moment()); }
  void try_at(std::size_t i, const TryResult& result, int times = 1) {
    for (int n = 0; n < times; ++n) view.on_try(at(i), result, false, moment());
  }
  void later(Duration time) { now = now + time; }

  std::vector<SocketAddress> addresses;
  Instant now{1'000'000'000};
  NoConnector connector;
  Pool pool;
  PoolView view{pool, connector, 0, 1};
};

TEST(Pool, round_robin_gives_turns_by_weight) {
  Under under(Algorithm::round_robin, {3, 1});
  EXPECT_EQ(under.count(400), (Counts{{"a", 300}, {"b", 100}}));
}

TEST(Pool, round_robin_alternates_over_all_views) {
  Under under(Algorithm::round_robin, {1, 1});
  PoolView second(under.pool, under.connector, 1, 2);
  const Server* const first = under.pick();
  EXPECT_NE(second.take({}, under.now)->server(), first);
  EXPECT_EQ(under.pick(), first);
}

TEST(Pool, least_connections_takes_the_lightest_for_its_weight) {
  Under under(Algorithm::least_connections, {1, 4});
  under.at(0).load.active = 1;
  under.at(1).load.active = 3;
  EXPECT_EQ(under.pick(), &under.at(1));
  under.at(1).load.active = 5;
  EXPECT_EQ(under.pick(), &under.at(0));
}

TEST(Pool, hashes_keep_a_key_with_its_server_and_spread_keys) {
  for (const Algorithm algorithm : {Algorithm::ip_hash, Algorithm::hash}) {
    Under under(algorithm, {1, 1, 1});
    PoolView second(under.pool, under.connector, 1, 2);
    std::set<Server*> used;
    for (std::uint64_t key = 0; key < 60; ++key) {
      const std::uint64_t hash = KeyedHash(1)(std::to_string(key));
      Server* const chosen = under.pick({}, hash);
      used.insert(chosen);
      EXPECT_EQ(under.pick({}, hash), chosen);
      EXPECT_EQ(second.take({.key_hash = hash}, under.now)->server(), chosen);
    }
    EXPECT_EQ(used.size(), 3U);
  }
}

TEST(Pool, every_algorithm_takes_none_that_was_tried_until_there_is_none_left) {
  for (const Algorithm algorithm : algorithms) {
    Under under(algorithm, {1, 5, 1, 2});
    std::vector<Server*> tried;
    for (int i = 0; i < 4; ++i) {
      Server* const next = under.pick(tried);
      ASSERT_NE(next, nullptr) << name(algorithm);
      EXPECT_EQ(std::ranges::count(tried, next), 0);
      tried.push_back(next);
    }
    EXPECT_EQ(under.pick(tried), nullptr);
  }
}

TEST(Pool, every_algorithm_passes_over_whoever_is_away) {
  for (const Algorithm algorithm : algorithms) {
    Under under(algorithm, {1, 1, 1});
    under.fail_check(0);
    under.pool.drain(under.at(1), "an operator asked for it", under.moment());
    EXPECT_EQ(under.count(20), (Counts{{"c", 20}})) << name(algorithm);
  }
}

TEST(Pool, weight_0_gets_nothing_new) {
  for (const Algorithm algorithm : algorithms) {
    Under under(algorithm, {0, 1});
    EXPECT_EQ(under.count(20), (Counts{{"b", 20}})) << name(algorithm);
    under.fail_check(1);
    EXPECT_EQ(under.pick(), nullptr);
  }
}

TEST(Pool, a_pool_without_servers_has_none_to_choose) {
  for (const Algorithm algorithm : algorithms) EXPECT_EQ(Under(algorithm, {}).pick(), nullptr);
}

TEST(Pool, backups_serve_only_while_no_primary_can) {
  for (const Algorithm algorithm : algorithms) {
    PoolOptions options = Under::options_of(algorithm);
    options.servers.push_back({.id = "spare", .host = "127.0.0.1", .port = 80, .backup = true});
    Under under(options, {1, 1});
    Counts counts = under.count(20);
    EXPECT_EQ(counts.count("spare"), 0U) << name(algorithm);
    under.fail_check(1);
    under.fail_check(2);
    EXPECT_EQ(under.count(5), (Counts{{"spare", 5}}));
    under.pass_check(2);
    EXPECT_EQ(under.count(5), (Counts{{"c", 5}}));
  }
}

TEST(Pool, an_unhealthy_server_gets_nothing_until_it_is_back) {
  Under under(Algorithm::round_robin, {1, 1});
  under.fail_check(0);
  EXPECT_EQ(under.count(10), (Counts{{"b", 10}}));
  under.fail_check(1);
  EXPECT_EQ(under.pick(), nullptr);
  under.pass_check(0);
  EXPECT_EQ(under.count(10), (Counts{{"a", 10}}));
}

TEST(Pool, where_it_is_asked_for_all_are_tried_when_all_are_unhealthy) {
  PoolOptions options = Under::options_of(Algorithm::round_robin);
  options.when_all_down = WhenAllDown::try_all;
  Under under(options, {1, 1, 1});
  for (std::size_t i = 0; i < 3; ++i) under.fail_check(i);
  under.pool.drain(under.at(2), "an operator asked for it", under.moment());
  const Counts counts = under.count(20);
  EXPECT_EQ(counts.size(), 2U);
  EXPECT_EQ(counts.count("c"), 0U);
}

TEST(Pool, servers_that_wait_for_their_first_check_get_nothing_before) {
  PoolOptions options = Under::options_of(Algorithm::round_robin);
  options.health.emplace().before_traffic = true;
  Under under(options, {1, 1});
  EXPECT_EQ(under.pick(), nullptr);
  EXPECT_EQ(under.at(0).standing().state, "unchecked");
  under.pass_check(1);
  EXPECT_EQ(under.count(4), (Counts{{"b", 4}}));
}

TEST(Pool, failures_in_a_row_eject_a_server_and_one_request_finds_out_when_it_is_well) {
  for (const Algorithm algorithm : algorithms) {
    Under under(algorithm, {1, 1, 1});
    under.try_at(0, error_500, 4);
    under.try_at(0, good);
    under.try_at(0, error_500, 4);
    EXPECT_FALSE(under.at(0).held(bit(Hold::ejected)));
    under.try_at(0, error_500);
    EXPECT_EQ(under.at(0).standing().state, "ejected");
    EXPECT_EQ(under.at(0).standing().reason, "5 failures in a row, last: answered 500");
    EXPECT_EQ(under.count(30).count("a"), 0U) << name(algorithm);
    under.later(5s);
    EXPECT_EQ(under.count(30)["a"], 1) << "one request finds out, not thirty";
    under.view.on_try(under.at(0), good, true, under.moment());
    under.pool.publish_changes(under.now);
    EXPECT_TRUE(under.at(0).takes_traffic());
  }
}

TEST(Pool, a_probe_that_fails_keeps_a_server_out_twice_as_long) {
  Under under(Algorithm::round_robin, {1, 1});
  under.try_at(0, error_500, 5);
  under.later(5s);
  EXPECT_EQ(under.count(4)["a"], 1);
  under.view.on_try(under.at(0), error_500, true, under.moment());
  under.later(9900ms);
  EXPECT_EQ(under.count(10).count("a"), 0U);
  under.later(100ms);
  EXPECT_EQ(under.count(10)["a"], 1);
  EXPECT_EQ(under.at(0).ejections, 2U);
}

TEST(Pool, one_failure_is_enough_after_an_ejection) {
  Under under(Algorithm::round_robin, {1, 1});
  under.try_at(0, error_500, 5);
  under.later(5s);
  under.count(4);
  under.view.on_try(under.at(0), good, true, under.moment());
  under.try_at(0, error_500);
  EXPECT_TRUE(under.at(0).held(bit(Hold::ejected)));
}

TEST(Pool, an_answer_that_was_under_way_does_not_end_an_ejection) {
  Under under(Algorithm::round_robin, {1, 1});
  under.try_at(0, error_500, 5);
  under.try_at(0, good);
  EXPECT_TRUE(under.at(0).held(bit(Hold::ejected)));
}

TEST(Pool, never_more_than_the_configured_share_is_ejected) {
  Under under(Algorithm::round_robin, {1, 1, 1, 1});
  for (std::size_t i = 0; i < 4; ++i) under.try_at(i, error_500, 20);
  std::size_t ejected = 0;
  for (const auto& server : under.pool.servers()) ejected += server->held(bit(Hold::ejected)) ? 1 : 0;
  EXPECT_EQ(ejected, 2U);
}

TEST(Pool, a_request_that_must_not_be_repeated_finds_out_only_when_nobody_else_does) {
  Under under(Algorithm::round_robin, {1, 1});
  under.try_at(0, error_500, 5);
  under.later(5s);
  const PickRequest post{.repeatable = false};
  for (int i = 0; i < 10; ++i) EXPECT_EQ(under.view.take(post, under.now)->server(), &under.at(1));
  under.later(2s);
  EXPECT_EQ(under.view.take(post, under.now)->server(), &under.at(0));
}

TEST(Pool, a_server_that_cannot_be_reached_is_asked_again_by_single_requests_ever_more_rarely) {
  Under under(Algorithm::round_robin, {1, 1});
  under.pool.on_unreachable(under.at(0), "connection refused", under.moment());
  EXPECT_EQ(under.at(0).standing().state, "unreachable");
  std::vector<std::int64_t> asked_after_ms;
  const Instant start = under.now;
  for (int i = 0; i < 100'000 && asked_after_ms.size() < 9; ++i) {
    under.later(1ms);
    if (under.pick() != &under.at(0)) continue;
    asked_after_ms.push_back((under.now - start) / 1ms);
    under.pool.on_unreachable(under.at(0), "connection refused", under.moment());
  }
  EXPECT_EQ(asked_after_ms, (std::vector<std::int64_t>{100, 300, 700, 1500, 3100, 6300, 11300, 16300, 21300}));
  under.view.on_try(under.at(0), good, true, under.moment());
  EXPECT_FALSE(under.at(0).held(any_hold));
}

TEST(Pool, when_nobody_can_be_reached_one_is_tried_all_the_same) {
  Under under(Algorithm::round_robin, {1, 1});
  for (std::size_t i = 0; i < 2; ++i) under.pool.on_unreachable(under.at(i), "connection refused", under.moment());
  const auto place = under.view.take({}, under.now);
  ASSERT_TRUE(place);
  EXPECT_EQ(place->choice(), Choice::last_resort);
  // But what checks have found is not to be tried.
  under.fail_check(0);
  under.fail_check(1);
  EXPECT_EQ(under.view.take({}, under.now).error(), NoPlace::no_server);
}

TEST(Pool, a_check_that_passes_again_ends_what_tries_had_found) {
  Under under(Algorithm::round_robin, {1, 1});
  under.pool.on_unreachable(under.at(0), "connection refused", under.moment());
  under.fail_check(0);
  under.pass_check(0);
  EXPECT_TRUE(under.at(0).takes_traffic());
  EXPECT_EQ(under.count(10)["a"], 5);
}

TEST(Pool, a_server_that_comes_back_gets_a_growing_share) {
  for (const Algorithm algorithm : {Algorithm::round_robin, Algorithm::random, Algorithm::least_connections}) {
    PoolOptions options = Under::options_of(algorithm);
    options.slow_start = {.window = 10s, .floor = 0.1, .curve = 1.0};
    Under under(options, {1, 1});
    under.fail_check(0);
    under.pass_check(0);
    EXPECT_EQ(under.at(0).standing().state, "warming");
    const int early = under.count(2000)["a"];
    under.later(5s);
    const int halfway = under.count(2000)["a"];
    under.later(5s);
    const int late = under.count(2000)["a"];
    EXPECT_GT(early, 40) << name(algorithm);
    EXPECT_LT(early, 260) << name(algorithm);
    EXPECT_GT(halfway, early + 100) << name(algorithm);
    EXPECT_GT(late, halfway + 100) << name(algorithm);
    EXPECT_NE(under.at(0).standing().state, "warming");
  }
}

TEST(Pool, the_only_server_needs_no_slow_start) {
  PoolOptions options = Under::options_of(Algorithm::round_robin);
  options.slow_start.window = 10s;
  Under under(options, {1, 1});
  under.fail_check(0);
  under.fail_check(1);
  under.pass_check(0);
  EXPECT_EQ(under.at(0).standing().state, "healthy");
}

TEST(Pool, the_version_moves_only_with_who_takes_traffic) {
  Under under(Algorithm::round_robin, {1, 1});
  const std::uint64_t before = under.pool.version();
  under.pass_check(0);
  EXPECT_EQ(under.pool.version(), before);
  under.fail_check(0);
  EXPECT_EQ(under.pool.version(), before + 1);
  under.pool.set_health(under.at(0), Health::unhealthy, "timed out", {under.now, 3});
  EXPECT_EQ(under.pool.version(), before + 1);
  EXPECT_EQ(under.at(0).standing().reason, "timed out");
  EXPECT_EQ(under.at(0).standing().since_unix_s, 1) << "it has been unhealthy since the first failure";
}

TEST(Pool, limits_on_servers_and_on_the_pool_are_kept) {
  for (const Algorithm algorithm : algorithms) {
    PoolOptions options = Under::options_of(algorithm);
    options.queue.per_server_max = 2;
    Under under(options, {1, 1});
    std::vector<Place> places;
    for (int i = 0; i < 4; ++i) {
      auto place = under.view.take({}, under.now);
      ASSERT_TRUE(place) << name(algorithm);
      places.push_back(std::move(*place));
    }
    EXPECT_EQ(under.at(0).load.active, 2U);
    EXPECT_EQ(under.view.take({}, under.now).error(), NoPlace::full);
    places.pop_back();
    EXPECT_TRUE(under.view.take({}, under.now));
  }
  PoolOptions options = Under::options_of(Algorithm::round_robin);
  options.queue.active_max = 3;
  Under under(options, {1, 1});
  std::vector<Place> places;
  for (int i = 0; i < 3; ++i) places.push_back(std::move(*under.view.take({}, under.now)));
  EXPECT_EQ(under.view.take({}, under.now).error(), NoPlace::full);
}

TEST(Pool, sessions_stay_with_their_server_unless_it_is_away) {
  PoolOptions options = Under::options_of(Algorithm::round_robin);
  options.sticky.emplace().secret = "0123456789abcdef";
  Under under(options, {1, 1, 0});
  const auto choose = [&](std::size_t i) { return under.view.take({.session = &under.at(i)}, under.now)->server(); };
  for (int i = 0; i < 5; ++i) EXPECT_EQ(choose(0), &under.at(0));
  EXPECT_EQ(choose(2), &under.at(2)) << "weight 0 keeps its sessions";
  under.pool.drain(under.at(0), "an operator asked for it", under.moment());
  EXPECT_EQ(choose(0), &under.at(0));
  under.fail_check(0);
  EXPECT_EQ(choose(0), &under.at(1));
}

TEST(Pool, sessions_leave_a_drained_server_where_that_is_asked_for) {
  PoolOptions options = Under::options_of(Algorithm::round_robin);
  options.sticky.emplace().secret = "0123456789abcdef";
  options.sticky->follow_drained = false;
  Under under(options, {1, 1});
  under.pool.drain(under.at(0), "an operator asked for it", under.moment());
  EXPECT_EQ(under.view.take({.session = &under.at(0)}, under.now)->server(), &under.at(1));
}

TEST(Pool, retries_keep_to_a_share_of_recent_requests) {
  PoolOptions options = Under::options_of(Algorithm::round_robin);
  options.retries.budget = 0.2;
  options.retries.budget_floor = 3;
  Under under(options, {1, 1});
  PoolView second(under.pool, under.connector, 1, 2);
  int allowed = 0;
  while (under.view.charge_retry(under.now)) ++allowed;
  EXPECT_EQ(allowed, 3) << "however few requests there were";
  for (int i = 0; i < 100; ++i) (i % 2 == 0 ? under.view : second).count_request(under.now);
  while (second.charge_retry(under.now)) ++allowed;
  EXPECT_EQ(allowed, 20) << "one budget for all workers";
  under.later(10s);
  EXPECT_TRUE(under.view.charge_retry(under.now)) << "what is long ago does not count";
}

}  // namespace pool_test
}  // namespace steelyard
