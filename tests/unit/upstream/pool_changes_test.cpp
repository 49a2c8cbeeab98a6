// Pools that change while they are in use: who stays the same object, who goes and when, what operators may force.
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "upstream/pool_view.hpp"

namespace steelyard {
namespace pool_changes_test {

class NoConnector final : public Connector {
 public:
  Result<std::unique_ptr<Stream>> connect(const SocketAddress& /*to*/) override { return fail(ErrorKind::refused); }
  Scheduler& scheduler() override { return scheduler_; }
  void post(std::function<void()> work) override { work(); }

 private:
  Scheduler scheduler_{Instant{0}};
};

PoolServer named(const std::string& id, std::uint16_t port = 80, std::uint32_t weight = 1) {
  return {.options = {.id = id, .host = "127.0.0.1", .port = port, .weight = weight}, .address = {IpAddress::v4(0x7f000001U), port}};
}

struct PoolChanges : ::testing::Test {
  PoolOptions options = [] {
    PoolOptions made;
    made.algorithm = Algorithm::round_robin;
    made.slow_start.window = Duration{0};
    made.drain = 10s;
    return made;
  }();
  Instant now{1'000'000'000};
  NoConnector connector;
  Pool pool{"app", 1};
  PoolView view{pool, connector, 0, 1};

  [[nodiscard]] Moment moment() const { return {now, now.ns / 1'000'000'000}; }
  void configure(const std::vector<PoolServer>& servers) { pool.configure(options, servers, moment()); }
  [[nodiscard]] std::shared_ptr<Server> find(const std::string& id) const {
    for (const auto& server : pool.servers()) {
      if (server->id == id) return server;
    }
    return nullptr;
  }
  std::expected<Place, NoPlace> take(PickRequest request = {}) { return view.take(request, now); }
  std::set<std::string> chosen(int picks = 8) {
    std::set<std::string> ids;
    for (int i = 0; i < picks; ++i) {
      if (auto place = take()) ids.insert(place->server()->id);
    }
    return ids;
  }
};

using Ids = std::set<std::string>;

TEST_F(PoolChanges, a_pool_without_servers_has_no_place) {
  EXPECT_EQ(take().error(), NoPlace::no_server);
  configure({named("a")});
  EXPECT_EQ(chosen(), Ids{"a"});
  configure({});
  EXPECT_EQ(take().error(), NoPlace::no_server);
}

TEST_F(PoolChanges, a_server_that_stays_is_the_same_object_with_new_options) {
  configure({named("a"), named("b", 81)});
  const Server* const before = find("a").get();
  find("a")->ejections = 3;
  PoolServer changed = named("a", 80, 7);
  changed.options.labels = {{"zone", "x"}};
  changed.options.active_max = 2;
  configure({named("c", 82), changed});
  EXPECT_EQ(find("a").get(), before);
  EXPECT_EQ(find("a")->ejections, 3U);
  EXPECT_EQ(find("a")->weight(), 7U);
  EXPECT_EQ(find("a")->active_max(), 2U);
  EXPECT_EQ(find("a")->labels().at("zone"), "x");
  EXPECT_EQ(chosen(), (Ids{"a", "c"}));
}

TEST_F(PoolChanges, the_same_id_at_another_address_is_another_server) {
  configure({named("a", 80)});
  const std::shared_ptr<Server> before = find("a");
  configure({named("a", 81)});
  EXPECT_NE(find("a"), before);
  EXPECT_TRUE(before->removed());
}

TEST_F(PoolChanges, a_removed_server_lives_as_long_as_an_exchange_there) {
  configure({named("a")});
  auto place = take();
  const std::weak_ptr<Server> watched = find("a");
  configure({named("b", 81)});
  EXPECT_EQ(chosen(), Ids{"b"});
  pool.publish_changes(now);
  ASSERT_EQ(pool.leaving().size(), 1U);
  EXPECT_EQ(place->server()->standing().state, "drained");
  place->give_up();
  pool.publish_changes(now);
  EXPECT_TRUE(pool.leaving().empty());
  EXPECT_TRUE(watched.expired());
}

TEST_F(PoolChanges, a_removed_server_lives_as_long_as_a_view_may_choose_it) {
  configure({named("a")});
  static_cast<void>(chosen());
  const std::weak_ptr<Server> watched = find("a");
  configure({named("b", 81)});
  pool.publish_changes(now);
  EXPECT_FALSE(watched.expired()) << "the view has not seen the change";
  view.refresh();
  pool.publish_changes(now);
  EXPECT_TRUE(watched.expired());
}

TEST_F(PoolChanges, a_server_that_comes_back_while_it_leaves_is_the_same_one) {
  configure({named("a"), named("b", 81)});
  auto first = take();
  auto second = take();
  const Server* const before = find("a").get();
  configure({named("b", 81)});
  configure({named("a"), named("b", 81)});
  EXPECT_EQ(find("a").get(), before);
  EXPECT_FALSE(before->removed());
  EXPECT_TRUE(before->takes_traffic());
  EXPECT_TRUE(pool.leaving().empty());
  EXPECT_TRUE(pool.take_overdue(now + 1h).empty()) << "its deadline is off";
}

TEST_F(PoolChanges, what_is_under_way_at_a_removed_server_is_overdue_once_the_deadline_has_passed) {
  configure({named("a")});
  auto place = take();
  configure({});
  EXPECT_TRUE(pool.take_overdue(now + 9s).empty());
  EXPECT_EQ(pool.take_overdue(now + 10s).size(), 1U);
  EXPECT_TRUE(pool.take_overdue(now + 11s).empty()) << "told once";
}

TEST_F(PoolChanges, a_deadline_can_be_set_anew_and_taken_back) {
  configure({named("a")});
  auto place = take();
  pool.drain(*find("a"), "an operator asked for it", moment());
  EXPECT_TRUE(pool.take_overdue(now + 1h).empty()) << "none was set";
  pool.set_deadline(*find("a"), now + 3s);
  pool.set_deadline(*find("a"), now + 5s);
  EXPECT_TRUE(pool.take_overdue(now + 4s).empty());
  EXPECT_EQ(pool.take_overdue(now + 5s).size(), 1U);
  pool.set_deadline(*find("a"), now + 5s);
  pool.set_deadline(*find("a"), never);
  EXPECT_TRUE(pool.take_overdue(now + 1h).empty());
}

TEST_F(PoolChanges, no_deadline_where_draining_may_take_as_long_as_it_takes) {
  options.drain = Duration::max();
  configure({named("a")});
  auto place = take();
  configure({});
  EXPECT_TRUE(pool.take_overdue(now + 1000h).empty());
}

TEST_F(PoolChanges, a_drained_server_takes_nothing_until_it_is_wanted_back) {
  PoolServer drained = named("a");
  drained.drained = true;
  configure({drained, named("b", 81)});
  EXPECT_EQ(chosen(), Ids{"b"});
  EXPECT_EQ(find("a")->standing().state, "drained");
  configure({named("a"), named("b", 81)});
  EXPECT_EQ(chosen(), (Ids{"a", "b"}));
}

TEST_F(PoolChanges, what_a_check_asks_for_and_what_an_operator_asks_for_are_two_things) {
  PoolServer drained = named("a");
  drained.drained = true;
  configure({drained, named("b", 81)});
  pool.on_check(*find("a"), {.health = Health::healthy, .draining = false, .reason = "health check passed"}, moment());
  EXPECT_EQ(chosen(), Ids{"b"}) << "a check that passes does not end what an operator wants";
}

TEST_F(PoolChanges, forced_down_outweighs_everything_but_leaves_the_others) {
  PoolServer forced = named("a");
  forced.forced = ForcedHealth::down;
  options.when_all_down = WhenAllDown::try_all;
  options.health = HealthOptions{};
  configure({forced, named("b", 81)});
  EXPECT_EQ(chosen(), Ids{"b"});
  pool.set_health(*find("b"), Health::unhealthy, "refused", moment());
  EXPECT_EQ(chosen(), Ids{"b"}) << "not even as a last resort";
  configure({named("a"), named("b", 81)});
  EXPECT_EQ(chosen(), Ids{"a"});
}

TEST_F(PoolChanges, forced_up_takes_traffic_whatever_checks_and_tries_find) {
  options.health = HealthOptions{};
  configure({named("a"), named("b", 81)});
  pool.set_health(*find("a"), Health::unhealthy, "refused", moment());
  EXPECT_EQ(chosen(), Ids{"b"});
  PoolServer forced = named("a");
  forced.forced = ForcedHealth::up;
  configure({forced, named("b", 81)});
  EXPECT_EQ(chosen(), (Ids{"a", "b"}));
  pool.set_health(*find("a"), Health::unhealthy, "refused", moment());
  for (int i = 0; i < 20; ++i) view.on_try(*find("a"), {TryVerdict::error_status, 500}, false, moment());
  pool.on_unreachable(*find("a"), "connection refused", moment());
  EXPECT_EQ(chosen(), (Ids{"a", "b"}));
  EXPECT_EQ(find("a")->standing().state, "forced up");
  configure({named("a"), named("b", 81)});
  EXPECT_EQ(chosen(), Ids{"b"}) << "what its checks say counts again";
}

TEST_F(PoolChanges, tries_at_a_removed_server_leave_no_trace_in_the_pool) {
  configure({named("a")});
  auto place = take();
  configure({named("b", 81)});
  pool.on_unreachable(*place->server(), "connection refused", moment());
  for (int i = 0; i < 20; ++i) view.on_try(*place->server(), {TryVerdict::error_status, 500}, false, moment());
  place->give_up();
  view.refresh();
  pool.publish_changes(now);
  EXPECT_TRUE(pool.leaving().empty());
  EXPECT_EQ(pool.claim_probe(pool.members()->groups.front(), {}, true, now + 1h), nullptr);
}

TEST_F(PoolChanges, a_limit_that_comes_and_goes_counts_only_what_began_under_it) {
  configure({named("a")});
  auto before = take();
  options.queue.active_max = 1;
  configure({named("a")});
  auto under = take();
  ASSERT_TRUE(under);
  EXPECT_EQ(take().error(), NoPlace::full);
  before->give_up();
  EXPECT_EQ(take().error(), NoPlace::full) << "what was not counted gives nothing back";
  options.queue.active_max = active_unlimited;
  configure({named("a")});
  EXPECT_TRUE(take());
  under->give_up();
  options.queue.active_max = 1;
  configure({named("a")});
  EXPECT_TRUE(take());
}

TEST_F(PoolChanges, a_new_server_begins_slowly_beside_others_but_not_at_the_start) {
  options.slow_start.window = 10s;
  configure({named("a")});
  EXPECT_NE(find("a")->standing().state, "warming");
  configure({named("a"), named("b", 81)});
  EXPECT_EQ(find("b")->standing().state, "warming");
  EXPECT_NE(find("a")->standing().state, "warming");
}

TEST_F(PoolChanges, sessions_lead_to_the_same_servers_after_others_came_and_went) {
  options.sticky.emplace().secret = "0123456789abcdef";
  configure({named("a"), named("b", 81)});
  view.refresh();
  const std::string cookie(view.sessions()->set_cookie(*find("b")));
  const std::string value = cookie.substr(cookie.find('=') + 1, 32);
  configure({named("c", 82), named("b", 81)});
  view.refresh();
  EXPECT_EQ(view.sessions()->server_of(value), find("b"));
  configure({named("c", 82)});
  view.refresh();
  EXPECT_EQ(view.sessions()->server_of(value), nullptr);
}

TEST_F(PoolChanges, ten_thousand_servers_are_matched_with_those_that_there_are) {
  std::vector<PoolServer> servers;
  for (std::uint16_t i = 0; i < 10'000; ++i) servers.push_back(named("s" + std::to_string(i), static_cast<std::uint16_t>(1 + i)));
  configure(servers);
  const std::shared_ptr<Server> kept = find("s5000");
  servers.erase(servers.begin(), servers.begin() + 4000);
  configure(servers);
  EXPECT_EQ(find("s5000"), kept);
  EXPECT_EQ(pool.servers().size(), 6000U);
}

}  // namespace pool_changes_test
}  // namespace steelyard
