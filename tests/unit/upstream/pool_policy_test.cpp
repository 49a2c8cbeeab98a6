// Pools with a policy: whatever goes wrong, a request is served by a server that promises what it demands, or by none.
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "upstream/pool_view.hpp"

namespace steelyard {
namespace pool_policy_test {

constexpr Algorithm algorithms[] = {Algorithm::adaptive, Algorithm::round_robin, Algorithm::least_connections,
                                    Algorithm::ip_hash,  Algorithm::hash,        Algorithm::random,
                                    Algorithm::fastest};

class NoConnector final : public Connector {
 public:
  Result<std::unique_ptr<Stream>> connect(const SocketAddress& /*to*/) override { return fail(ErrorKind::refused); }
  Scheduler& scheduler() override { return scheduler_; }
  void post(std::function<void()> work) override { work(); }

 private:
  Scheduler scheduler_{Instant{0}};
};

// At a port of its own, so that the id alone does not tell it.
PoolServer promising(const std::string& id, const std::string& tier) {
  const auto port = static_cast<std::uint16_t>(80 + id[0]);
  PoolServer server{.options = {.id = id, .host = "127.0.0.1", .port = port}, .address = {IpAddress::v4(0x7f000001U), port}};
  if (!tier.empty()) server.options.labels = {{"tier", tier}, {"zone", "gold"}};
  return server;
}

using Ids = std::set<std::string>;

struct PoolPolicy : ::testing::Test {
  PoolOptions options = [] {
    PoolOptions made;
    made.algorithm = Algorithm::round_robin;
    made.slow_start.window = Duration{0};
    made.policy.emplace().label = "tier";
    return made;
  }();
  std::vector<PoolServer> servers{promising("a", "gold"), promising("b", "gold, silver"), promising("c", "silver"),
                                  promising("d", "silver"), promising("e", "")};
  Instant now{1'000'000'000};
  NoConnector connector;
  Pool pool{"app", 2};
  PoolView view{pool, connector, 0, 1};

  [[nodiscard]] Moment moment() const { return {now, now.ns / 1'000'000'000}; }
  void configure() { pool.configure(options, servers, moment()); }
  [[nodiscard]] std::shared_ptr<Server> find(const std::string& id) const {
    for (const auto& server : pool.servers()) {
      if (server->id == id) return server;
    }
    return nullptr;
  }
  static PickRequest demanding(std::string_view value) { return {.demand = policy::Demand{"tier", value}}; }
  std::expected<Place, NoPlace> take(const PickRequest& request) { return view.take(request, now); }
  // Whom `picks` requests for `value` reached, with keys of their own.
  std::map<std::string, int> count(std::string_view value, int picks) {
    std::map<std::string, int> counts;
    for (int i = 0; i < picks; ++i) {
      PickRequest request = demanding(value);
      request.key_hash = KeyedHash(1)(std::to_string(i));
      if (const auto place = take(request)) ++counts[place->server()->id];
    }
    return counts;
  }
  Ids chosen(std::string_view value, int picks = 40) {
    Ids ids;
    for (const auto& [id, times] : count(value, picks)) ids.insert(id);
    return ids;
  }
  void fail_check(const std::string& id) { pool.set_health(*find(id), Health::unhealthy, "refused", moment()); }
  void lose(const std::string& id) { pool.on_unreachable(*find(id), "connection refused", moment()); }
};

TEST_F(PoolPolicy, every_algorithm_chooses_among_those_that_promise) {
  for (const Algorithm algorithm : algorithms) {
    options.algorithm = algorithm;
    configure();
    EXPECT_EQ(chosen("gold"), (Ids{"a", "b"})) << name(algorithm);
    EXPECT_EQ(chosen("silver"), (Ids{"b", "c", "d"})) << name(algorithm);
  }
  EXPECT_EQ(pool.broken_promises(), 0U) << "the last look is not what decides";
}

TEST_F(PoolPolicy, what_nobody_promises_is_told_apart_from_who_is_away) {
  configure();
  EXPECT_EQ(take(demanding("bronze")).error(), NoPlace::unmet);
  EXPECT_EQ(take(demanding("")).error(), NoPlace::unmet);
  EXPECT_EQ(take(demanding("Gold")).error(), NoPlace::unmet);
  fail_check("a");
  fail_check("b");
  EXPECT_EQ(take(demanding("gold")).error(), NoPlace::no_server);
  EXPECT_EQ(chosen("silver"), (Ids{"c", "d"}));
}

TEST_F(PoolPolicy, what_was_read_under_another_policy_is_read_anew) {
  configure();
  EXPECT_EQ(take({}).error(), NoPlace::outdated);
  EXPECT_EQ(take({.demand = policy::Demand{"zone", "gold"}}).error(), NoPlace::outdated);
  options.policy->label = "zone";
  configure();
  EXPECT_EQ(take(demanding("gold")).error(), NoPlace::outdated);
  EXPECT_TRUE(take({.demand = policy::Demand{"zone", "gold"}}));
  options.policy.reset();
  configure();
  EXPECT_EQ(take(demanding("gold")).error(), NoPlace::outdated);
  EXPECT_TRUE(take({}));
}

TEST_F(PoolPolicy, each_promise_has_turns_of_its_own_that_go_on_when_the_pool_changes) {
  servers = {promising("a", "gold"), promising("b", "gold"), promising("c", "silver"), promising("d", "silver")};
  configure();
  std::string turns;
  for (int i = 0; i < 8; ++i) {
    turns += take(demanding("gold"))->server()->id;
    for (int n = 0; n < i % 3; ++n) static_cast<void>(take(demanding("silver")));
    servers[3].options.weight = static_cast<std::uint32_t>(1 + i % 2);
    if (i % 2 == 0) configure();
  }
  EXPECT_TRUE(turns == "abababab" || turns == "babababa") << turns;
}

TEST_F(PoolPolicy, a_retry_stays_among_those_that_promise) {
  for (const Algorithm algorithm : algorithms) {
    options.algorithm = algorithm;
    configure();
    std::vector<Server*> tried;
    Ids ids;
    for (;;) {
      PickRequest request = demanding("gold");
      request.tried = tried;
      const auto place = take(request);
      if (!place) break;
      tried.push_back(place->server());
      ids.insert(place->server()->id);
    }
    EXPECT_EQ(ids, (Ids{"a", "b"})) << name(algorithm);
  }
}

TEST_F(PoolPolicy, a_session_stays_only_where_its_demand_is_met) {
  options.sticky.emplace().secret = "0123456789abcdef";
  configure();
  const auto session = find("c");
  PickRequest request = demanding("silver");
  request.session = session.get();
  for (int i = 0; i < 5; ++i) EXPECT_EQ(take(request)->choice(), Choice::session);
  request.demand->value = "gold";
  for (int i = 0; i < 5; ++i) {
    const auto place = take(request);
    EXPECT_NE(place->server()->id, "c");
    EXPECT_NE(place->choice(), Choice::session);
  }
  EXPECT_EQ(pool.broken_promises(), 0U);
}

TEST_F(PoolPolicy, only_a_request_that_a_server_may_have_finds_out_how_it_is) {
  configure();
  lose("c");
  now = now + 100ms;
  EXPECT_EQ(count("gold", 10).count("c"), 0U);
  EXPECT_EQ(count("silver", 10)["c"], 1) << "the probe was not lost";
  EXPECT_EQ(pool.broken_promises(), 0U);
}

TEST_F(PoolPolicy, a_probe_that_is_due_later_waits_for_its_time_whatever_is_due_elsewhere) {
  configure();
  lose("a");
  now = now + 60ms;
  lose("c");
  now = now + 50ms;
  EXPECT_EQ(count("silver", 10).count("c"), 0U) << "due in 50 ms";
  EXPECT_EQ(take(demanding("gold"))->choice(), Choice::probe);
  now = now + 50ms;
  EXPECT_EQ(take(demanding("silver"))->choice(), Choice::probe);
}

TEST_F(PoolPolicy, backups_serve_what_they_promise_while_no_other_can) {
  servers[1].options.backup = true;
  servers[3].options.backup = true;
  configure();
  EXPECT_EQ(chosen("gold"), Ids{"a"});
  fail_check("a");
  EXPECT_EQ(chosen("gold"), Ids{"b"});
  EXPECT_EQ(chosen("silver"), Ids{"c"});
  fail_check("b");
  EXPECT_EQ(take(demanding("gold")).error(), NoPlace::no_server);
}

TEST_F(PoolPolicy, the_last_resort_is_one_that_promises) {
  configure();
  for (const char* const id : {"a", "b"}) lose(id);
  pool.publish_changes(now);
  EXPECT_EQ(chosen("gold"), (Ids{"a", "b"}));
  EXPECT_EQ(take(demanding("gold"))->choice(), Choice::last_resort);
  options.when_all_down = WhenAllDown::try_all;
  configure();
  for (const char* const id : {"a", "b"}) fail_check(id);
  EXPECT_EQ(chosen("gold"), (Ids{"a", "b"}));
}

TEST_F(PoolPolicy, one_that_is_back_alone_in_its_group_joins_the_turns_at_once) {
  servers = {promising("a", "gold"), promising("c", "silver")};
  configure();
  lose("a");
  now = now + 100ms;
  EXPECT_EQ(take(demanding("gold"))->choice(), Choice::probe);
  view.on_try(*find("a"), {}, true, moment());
  EXPECT_EQ(take(demanding("gold"))->choice(), Choice::algorithm);
}

TEST_F(PoolPolicy, slow_start_gives_turns_to_others_that_promise_the_same) {
  options.slow_start = {.window = 10s, .floor = 0.01, .curve = 1.0};
  servers = {promising("a", "gold"), promising("b", "gold"), promising("c", "silver"), promising("d", "silver")};
  configure();
  fail_check("a");
  fail_check("c");
  fail_check("d");
  for (const char* const id : {"a", "c"}) pool.set_health(*find(id), Health::healthy, "passed", moment());
  EXPECT_LT(count("gold", 400)["a"], 50);
  EXPECT_EQ(count("silver", 10)["c"], 10);
  EXPECT_EQ(find("c")->standing().state, "healthy") << "beside nobody";
}

TEST_F(PoolPolicy, hashes_spread_over_the_group_and_keep_its_bound) {
  options.algorithm = Algorithm::hash;
  options.hash_load_max = 1.25;
  servers = {promising("a", "gold"), promising("b", "gold"), promising("c", "silver")};
  configure();
  std::vector<Place> elsewhere;
  for (int i = 0; i < 100; ++i) elsewhere.push_back(std::move(*take(demanding("silver"))));
  std::vector<Place> places;
  for (int i = 0; i < 8; ++i) places.push_back(std::move(*take(demanding("gold"))));
  EXPECT_LE(find("a")->load.active.load(), 5U) << "what others have under way makes no room here";
  EXPECT_LE(find("b")->load.active.load(), 5U);
}

TEST_F(PoolPolicy, limits_hold_in_each_group) {
  options.queue.per_server_max = 1;
  configure();
  std::vector<Place> gold;
  for (int i = 0; i < 2; ++i) gold.push_back(std::move(*take(demanding("gold"))));
  EXPECT_EQ(take(demanding("gold")).error(), NoPlace::full);
  EXPECT_EQ(chosen("silver"), (Ids{"c", "d"})) << "b is full";
}

// Members that are wrong cannot come from a pool; here one server stands where it must not.
TEST_F(PoolPolicy, the_last_look_refuses_a_server_that_does_not_promise_whatever_led_to_it) {
  for (const Algorithm algorithm : algorithms) {
    options.algorithm = algorithm;
    configure();
    view.refresh();
    const std::uint64_t before = pool.broken_promises();
    auto& members = const_cast<Members&>(*pool.members());
    Group& gold = const_cast<Group&>(*members.find("gold"));
    for (Server*& server : gold.primary.servers) server = find("c").get();
    EXPECT_EQ(take(demanding("gold")).error(), NoPlace::no_server) << name(algorithm);
    EXPECT_EQ(pool.broken_promises(), before + 1);
    EXPECT_EQ(find("c")->load.active.load(), 0U);
  }
}

TEST_F(PoolPolicy, a_server_whose_promises_change_is_another_one_that_counts_on) {
  configure();
  const std::shared_ptr<Server> before = find("a");
  before->shard(0).metrics.requests.add(5);
  before->continue_from({.requests = 100});
  auto place = take(demanding("gold"));
  while (place->server() != before.get()) place = take(demanding("gold"));
  const std::string_view promise = before->promise("gold").value();
  servers[0] = promising("a", "bronze");
  configure();
  const std::shared_ptr<Server> after = find("a");
  ASSERT_NE(after, before);
  EXPECT_TRUE(before->removed());
  EXPECT_EQ(promise, "gold") << "what is under way there was promised";
  EXPECT_EQ(after->counts().requests, 105U);
  EXPECT_EQ(chosen("bronze"), Ids{"a"});
  EXPECT_EQ(chosen("gold"), Ids{"b"});
  after->shard(1).metrics.requests.add(7);
  after->continue_from({.requests = 200});
  EXPECT_EQ(after->counts().requests, 212U);
  servers[0] = promising("a", "gold");
  configure();
  EXPECT_EQ(find("a"), before) << "it had not gone yet";
  EXPECT_EQ(before->counts().requests, 212U);
}

TEST_F(PoolPolicy, labels_that_promise_the_same_leave_the_server_as_it_is) {
  configure();
  const std::shared_ptr<Server> before = find("b");
  servers[1].options.labels = {{"tier", "silver,gold,"}, {"zone", "other"}};
  configure();
  EXPECT_EQ(find("b"), before);
  EXPECT_EQ(before->labels().at("zone"), "other");
  options.policy->unmet_status = 503;
  configure();
  EXPECT_EQ(find("b"), before);
  options.policy->label = "zone";
  configure();
  EXPECT_NE(find("b"), before);
}

TEST_F(PoolPolicy, a_session_with_a_server_that_promised_something_else_ends) {
  configure();
  const std::shared_ptr<Server> before = find("a");
  servers[0] = promising("a", "silver");
  configure();
  for (const std::string_view value : {"gold", "silver"}) {
    PickRequest request = demanding(value);
    request.session = before.get();
    EXPECT_NE(take(request)->server(), before.get());
  }
}

TEST_F(PoolPolicy, new_promises_are_checked_anew_and_what_operators_say_stays) {
  options.health.emplace().before_traffic = true;
  servers[0].forced = ForcedHealth::up;
  servers[1].drained = true;
  configure();
  for (const auto& server : pool.servers()) pool.set_health(*server, Health::healthy, "passed", moment());
  for (std::size_t i = 0; i < 3; ++i) servers[i].options.labels["tier"] = "bronze";
  configure();
  EXPECT_EQ(chosen("bronze"), Ids{"a"});
  EXPECT_TRUE(find("b")->held(bit(Hold::drained)));
  EXPECT_TRUE(find("c")->held(bit(Hold::unchecked)));
  EXPECT_EQ(chosen("silver"), Ids{"d"});
}

}  // namespace pool_policy_test
}  // namespace steelyard
