// Servers that announce themselves, in simulated time: who may, for how long, and what becomes of those that fall silent.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "support/registered_pools.hpp"
#include "upstream/registry.hpp"

namespace steelyard {
namespace registry_leases_test {

using namespace registered;
using Effect = Applied::Effect;
using Kind = Refusal::Kind;
using Ids = std::vector<std::string>;

constexpr std::int64_t day_s = 86'400;

class Leases : public testing::Test {
 protected:
  void SetUp() override { configure(registry, {configured()}); }

  static PoolOptions configured(std::vector<ServerOptions> servers = {server("fixed", "10.9.0.1")},
                                std::optional<RegistrationOptions> registers = registration()) {
    return pool("app", std::move(servers), std::move(registers));
  }
  [[nodiscard]] Moment moment() const { return {now, unix_s}; }
  void later(Duration time) {
    now = now + time;
    unix_s += time / 1s;
  }
  std::expected<Applied, Refusal> announce(const ServerOptions& options, const std::string& owner = "token",
                                           std::optional<Duration> lease = {}) {
    return registry.announce("app", options, lease, owner, {}, moment());
  }
  void enter(const ServerOptions& options) {
    const auto applied = announce(options);
    EXPECT_TRUE(applied) << applied.error().message;
  }
  Kind refusal(const ServerOptions& options, const std::string& owner = "token") {
    const auto applied = announce(options, owner);
    EXPECT_FALSE(applied);
    return applied ? Kind::invalid : applied.error().kind;
  }
  bool renew(const std::string& id, const std::string& owner = "token") {
    return registry.renew("app", id, owner, {}, moment()).has_value();
  }
  // Ids that have ended.
  Ids expire(const Registry::Gone& gone = {}) {
    Ids ended;
    for (const auto& expired : registry.expire(moment(), gone)) {
      if (!expired.kept) ended.push_back(expired.id);
    }
    return ended;
  }
  [[nodiscard]] WantedServer at(const std::string& id) const { return registry.server("app", id).value_or(WantedServer{}); }
  [[nodiscard]] bool there(const std::string& id) const { return registry.server("app", id).has_value(); }
  [[nodiscard]] std::size_t overdue() const {
    return static_cast<std::size_t>(
        std::ranges::count_if(registry.servers("app"), [](const WantedServer& one) { return one.lease && one.lease->overdue; }));
  }
  void enter_many(int count) {
    for (int i = 0; i < count; ++i) enter(server("s" + std::to_string(i), "10.0.0." + std::to_string(i + 1)));
  }
  void restart(PoolOptions options = configured()) {
    const RegistryState state = registry.state(moment());
    registry = Registry{};
    configure(registry, {std::move(options)});
    registry.restore(state, moment());
  }

  Registry registry;
  Instant now{5'000'000'000};
  std::int64_t unix_s = 1'700'000'000;
};

TEST_F(Leases, a_server_that_renews_stays) {
  enter(server("x", "10.0.0.1", 4));
  EXPECT_EQ(at("x").origin, Origin::registration);
  EXPECT_EQ(at("x").options.weight, 4U);
  EXPECT_EQ(at("x").lease->owner, "token");
  EXPECT_EQ(registry.next_expiry(), now + 30s);
  for (int i = 0; i < 10; ++i) {
    later(29s);
    EXPECT_TRUE(expire().empty());
    EXPECT_TRUE(renew("x"));
  }
  EXPECT_EQ(registry.next_expiry(), now + 30s);
}

TEST_F(Leases, one_that_will_never_renew_lasts) {
  ASSERT_TRUE(registry.announce_lasting("app", server("x", "10.0.0.1"), "token", moment()));
  EXPECT_TRUE(at("x").lease->lasting);
  EXPECT_EQ(registry.next_expiry(), never);
  later(1000h);
  EXPECT_TRUE(expire().empty());
  restart();
  EXPECT_TRUE(at("x").lease->lasting);
  EXPECT_EQ(at("x").lease->owner, "token");
  later(1000h);
  EXPECT_TRUE(expire().empty());
}

TEST_F(Leases, one_that_lasts_gives_way_to_another_that_announces_itself_under_its_id) {
  ASSERT_TRUE(registry.announce_lasting("app", server("x", "10.0.0.1"), "token", moment()));
  ASSERT_TRUE(registry.announce_lasting("app", server("y", "10.0.0.2"), "token", moment()));
  const auto again = registry.announce_lasting("app", server("x", "10.0.0.3"), "token", moment());
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(at("x").options.host, "10.0.0.3");
  const auto servers = registry.servers("app");
  ASSERT_EQ(servers.size(), 3U);
  EXPECT_EQ(servers[1].options.id, "x") << "in the place of the one before";
  EXPECT_EQ(registry.announce_lasting("app", server("x", "10.0.0.4"), "other", moment()).error().kind, Kind::not_owner);
  EXPECT_EQ(registry.announce_lasting("app", server("x", "192.0.2.1"), "token", moment()).error().kind, Kind::not_allowed);
}

TEST_F(Leases, one_that_lasts_may_begin_to_renew) {
  ASSERT_TRUE(registry.announce_lasting("app", server("x", "10.0.0.1"), "token", moment()));
  EXPECT_EQ(announce(server("x", "10.0.0.1"))->effect, Effect::changed);
  later(30s);
  EXPECT_EQ(expire(), Ids{"x"});
}

TEST_F(Leases, servers_are_in_the_order_in_which_they_came) {
  for (const char* const id : {"c", "a", "b"}) enter(server(id, "10.0.0." + std::to_string(id[0])));
  const auto order = [this] {
    Ids ids;
    for (const WantedServer& one : registry.servers("app")) ids.push_back(one.options.id);
    return ids;
  };
  EXPECT_EQ(order(), (Ids{"fixed", "c", "a", "b"}));
  ASSERT_TRUE(registry.change("app", "c", {.weight = 7}, {}));
  EXPECT_EQ(order(), (Ids{"fixed", "c", "a", "b"}));
  restart();
  EXPECT_EQ(order(), (Ids{"fixed", "c", "a", "b"}));
}

TEST_F(Leases, a_server_that_falls_silent_goes) {
  enter(server("x", "10.0.0.1"));
  later(30s - 1ns);
  EXPECT_TRUE(expire().empty());
  later(1ns);
  EXPECT_EQ(expire(), Ids{"x"});
  EXPECT_FALSE(there("x"));
  EXPECT_EQ(registry.renew("app", "x", "token", {}, moment()).error().kind, Kind::no_such_server);
  EXPECT_EQ(announce(server("x", "10.0.0.1"))->effect, Effect::created);
}

TEST_F(Leases, lost_heartbeats_do_no_harm_while_the_lease_runs) {
  enter(server("x", "10.0.0.1"));
  for (int i = 1; i < 90; ++i) {
    later(10s);
    if (i % 3 == 2) {  // two of three are lost
      ASSERT_TRUE(renew("x"));
    }
    ASSERT_TRUE(expire().empty());
  }
  EXPECT_TRUE(there("x"));
}

TEST_F(Leases, renewing_is_no_change) {
  enter(server("x", "10.0.0.1"));
  const std::uint64_t revision = registry.revision();
  later(5s);
  const auto renewed = registry.renew("app", "x", "token", 17, moment());
  EXPECT_EQ(renewed->effect, Effect::unchanged);
  EXPECT_EQ(renewed->revision, at("x").revision);
  EXPECT_EQ(at("x").lease->load, 17U);
  renew("x");
  EXPECT_EQ(at("x").lease->load, 17U);
  EXPECT_EQ(announce(server("x", "10.0.0.1"))->effect, Effect::unchanged);
  EXPECT_EQ(at("x").lease->expires, now + 30s);
  EXPECT_EQ(registry.revision(), revision);
}

TEST_F(Leases, announcing_again_may_change_what_is_there) {
  enter(server("x", "10.0.0.1"));
  registry.change("app", "x", {.drained = true, .forced = ForcedHealth::down}, {});
  EXPECT_EQ(announce(server("x", "10.0.0.1", 9), "token", 60s)->effect, Effect::changed);
  EXPECT_EQ(at("x").options.weight, 9U);
  EXPECT_EQ(at("x").lease->length, 60s);
  EXPECT_TRUE(at("x").drained);
  EXPECT_EQ(at("x").forced, ForcedHealth::down);
}

TEST_F(Leases, a_server_that_leaves_is_gone_at_once) {
  enter(server("x", "10.0.0.1"));
  EXPECT_EQ(registry.leave("app", "x", "other").error().kind, Kind::not_owner);
  EXPECT_EQ(registry.leave("app", "x", "token")->effect, Effect::removed);
  EXPECT_FALSE(there("x"));
  EXPECT_EQ(registry.leave("app", "x", "token").error().kind, Kind::no_such_server);
  EXPECT_EQ(registry.leave("app", "fixed", "token").error().kind, Kind::not_owner);
  EXPECT_EQ(registry.next_expiry(), never);
}

TEST_F(Leases, the_first_of_two_that_claim_an_id_has_it) {
  enter(server("x", "10.0.0.1"));
  EXPECT_EQ(refusal(server("x", "10.0.0.2")), Kind::exists);
  EXPECT_EQ(refusal(server("x", "10.0.0.1"), "other"), Kind::not_owner);
  EXPECT_EQ(at("x").options.host, "10.0.0.1");
  EXPECT_FALSE(renew("x", "other"));
  later(30s);  // it has run out, whether or not that was looked at
  EXPECT_EQ(announce(server("x", "10.0.0.2"), "other")->effect, Effect::created);
  EXPECT_EQ(at("x").options.host, "10.0.0.2");
  EXPECT_EQ(at("x").lease->owner, "other");
  EXPECT_FALSE(renew("x"));
  EXPECT_TRUE(expire().empty());
}

TEST_F(Leases, a_server_that_restarts_with_a_new_id_keeps_its_address) {
  enter(server("old", "10.0.0.1"));
  registry.change("app", "old", {.drained = true}, {});
  EXPECT_EQ(refusal(server("new", "10.0.0.1"), "other"), Kind::exists);
  EXPECT_EQ(announce(server("new", "10.0.0.1"))->effect, Effect::created);
  EXPECT_EQ(ids(registry), (Ids{"fixed", "new"}));
  EXPECT_TRUE(at("new").drained);
  later(30s);
  EXPECT_EQ(announce(server("newer", "10.0.0.1"), "other")->effect, Effect::created);
  EXPECT_EQ(ids(registry), (Ids{"fixed", "newer"}));
  EXPECT_TRUE(expire().empty());
}

TEST_F(Leases, what_others_brought_cannot_be_claimed) {
  registry.put("app", server("hand", "10.9.0.2"), {});
  for (const char* id : {"fixed", "hand"}) {
    EXPECT_EQ(refusal(server(id, "10.0.0.1")), Kind::not_owner) << id;
    EXPECT_EQ(refusal(server("x", at(id).options.host)), Kind::exists) << id;
    EXPECT_FALSE(renew(id));
  }
  registry.remove("app", "fixed", {});
  EXPECT_EQ(refusal(server("fixed", "10.9.0.1")), Kind::not_owner);
  EXPECT_EQ(ids(registry), Ids{"hand"});
}

TEST_F(Leases, what_an_operator_puts_is_the_operators) {
  enter(server("x", "10.0.0.1"));
  const auto applied = registry.put("app", server("x", "10.0.0.1"), {});
  EXPECT_EQ(applied->effect, Effect::changed);
  EXPECT_EQ(at("x").origin, Origin::admin);
  EXPECT_FALSE(at("x").lease);
  EXPECT_EQ(registry.next_expiry(), never);
  later(1h);
  EXPECT_TRUE(expire().empty());
  EXPECT_TRUE(there("x"));
  EXPECT_EQ(registry.renew("app", "x", "token", {}, moment()).error().kind, Kind::not_owner);
}

TEST_F(Leases, what_an_operator_changes_stays_registered) {
  enter(server("x", "10.0.0.1"));
  EXPECT_EQ(registry.change("app", "x", {.weight = 3}, {})->effect, Effect::changed);
  EXPECT_EQ(at("x").origin, Origin::registration);
  later(30s);
  EXPECT_EQ(expire(), Ids{"x"});
}

TEST_F(Leases, a_pool_without_registration_says_what_to_configure) {
  configure(registry, {configured({}, std::nullopt)});
  const auto refused = announce(server("x", "10.0.0.1"));
  EXPECT_EQ(refused.error().kind, Kind::not_allowed);
  EXPECT_TRUE(refused.error().message.contains("`registration`")) << refused.error().message;
  EXPECT_EQ(registry.renew("app", "x", "token", {}, moment()).error().kind, Kind::not_allowed);
}

TEST_F(Leases, a_refused_announcement_names_the_field) {
  EXPECT_EQ(announce(server("x", "11.0.0.1")).error().field, "address");
  EXPECT_EQ(announce(server("x", "11.0.0.1")).error().kind, Kind::not_allowed);
  EXPECT_EQ(announce(server("x", "10.0.0.1", 1, 80)).error().field, "address");
  EXPECT_EQ(announce(server("x", "app.internal")).error().field, "address");
  EXPECT_EQ(announce(server("", "10.0.0.1")).error().field, "id");
  EXPECT_EQ(announce(server("x", "10.0.0.1", 1001)).error().field, "weight");
  EXPECT_EQ(announce(server("x", "10.0.0.1"), "token", 500ms).error().field, "lease");
  EXPECT_EQ(announce(server("x", "10.0.0.1"), "token", 2h).error().field, "lease");
  EXPECT_EQ(ids(registry), Ids{"fixed"});
}

TEST_F(Leases, no_more_servers_than_are_allowed) {
  RegistrationOptions two = registration();
  two.servers_max = 2;
  configure(registry, {configured({}, two)});
  enter_many(2);
  EXPECT_EQ(refusal(server("more", "10.0.0.9")), Kind::limit_reached);
  EXPECT_EQ(announce(server("s0", "10.0.0.1"))->effect, Effect::unchanged);
  EXPECT_EQ(announce(server("renamed", "10.0.0.1"))->effect, Effect::created);
  registry.leave("app", "s1", "token");
  enter(server("more", "10.0.0.9"));
}

TEST_F(Leases, what_is_not_allowed_any_more_is_dropped_in_one_sentence) {
  enter_many(5);
  RegistrationOptions narrow = registration();
  narrow.networks = {*Network::parse("10.0.0.2")};
  const auto sentences = configure(registry, {configured({}, narrow)});
  ASSERT_EQ(sentences.size(), 1U);
  EXPECT_TRUE(sentences[0].starts_with("pools.app: 4 registered servers are dropped")) << sentences[0];
  EXPECT_EQ(ids(registry), Ids{"s1"});
  EXPECT_EQ(configure(registry, {configured({}, std::nullopt)}).size(), 1U);
  EXPECT_TRUE(ids(registry).empty());
  EXPECT_EQ(registry.next_expiry(), never);
}

TEST_F(Leases, a_shorter_lease_max_counts_from_the_next_renewal) {
  announce(server("x", "10.0.0.1"), "token", 1h);
  RegistrationOptions shorter = registration();
  shorter.lease_max = 20s;
  configure(registry, {configured({}, shorter)});
  EXPECT_EQ(registry.next_expiry(), now + 1h);
  renew("x");
  EXPECT_EQ(registry.next_expiry(), now + 20s);
}

TEST_F(Leases, when_all_heartbeats_stop_the_servers_are_kept) {
  enter_many(10);
  later(30s);
  EXPECT_TRUE(expire().empty());
  EXPECT_EQ(overdue(), 10U);
  const std::uint64_t revision = registry.revision();
  later(1h);
  EXPECT_TRUE(expire().empty());
  EXPECT_EQ(overdue(), 10U);
  EXPECT_EQ(registry.revision(), revision);
  renew("s3");
  EXPECT_FALSE(at("s3").lease->overdue);
  later(1s);
  EXPECT_EQ(expire([](std::string_view, std::string_view id) { return id == "s4"; }), Ids{"s4"});
  for (const char* id : {"s0", "s1", "s2", "s5"}) EXPECT_TRUE(renew(id));
  later(1s);
  EXPECT_EQ(expire(), (Ids{"s6", "s7", "s8", "s9"}));
  EXPECT_EQ(overdue(), 0U);
}

TEST_F(Leases, at_most_the_share_goes_when_staggered_heartbeats_stop) {
  for (int i = 0; i < 20; ++i) {
    enter(server("s" + std::to_string(i), "10.0.0." + std::to_string(i + 1)));
    later(500ms);
  }
  for (int i = 0; i < 1000; ++i) {
    later(100ms);
    expire();
  }
  EXPECT_EQ(registry.servers("app").size(), 1U + 10U);
  EXPECT_EQ(overdue(), 10U);
}

TEST_F(Leases, an_overdue_server_that_is_changed_stays_overdue) {
  enter_many(4);
  later(30s);
  expire();
  registry.change("app", "s0", {.weight = 3}, {});
  EXPECT_TRUE(at("s0").lease->overdue);
  EXPECT_TRUE(registry.expire(moment(), {}).empty());
  for (const char* id : {"s1", "s2"}) EXPECT_TRUE(renew(id));
  later(1s);
  EXPECT_EQ(expire(), (Ids{"s0", "s3"}));
}

TEST_F(Leases, an_overdue_id_can_be_taken_over) {
  enter_many(4);
  later(30s);
  expire();
  ASSERT_EQ(overdue(), 4U);
  EXPECT_EQ(announce(server("s0", "10.0.0.77"), "other")->effect, Effect::created);
  EXPECT_EQ(at("s0").options.host, "10.0.0.77");
  EXPECT_EQ(overdue(), 3U);
}

TEST_F(Leases, the_clock_of_the_day_does_not_count_while_running) {
  enter_many(2);
  for (const std::int64_t jump : {day_s, -2 * day_s, day_s}) {
    unix_s += jump;
    later(9s);
    EXPECT_TRUE(expire().empty());
    EXPECT_TRUE(renew("s0"));
  }
  later(3s);
  EXPECT_EQ(expire(), Ids{"s1"});
}

TEST_F(Leases, state_has_the_time_of_day) {
  enter(server("x", "10.0.0.1"));
  later(10s);
  const auto lease = registry.state(moment()).pools.at("app").added.at("x").lease;
  EXPECT_EQ(lease->expires_unix_ms, (unix_s + 20) * 1000);
  EXPECT_EQ(lease->length, 30s);
}

TEST_F(Leases, a_restart_leaves_time_to_renew_and_no_more_than_a_lease) {
  struct Case {
    std::int64_t unix_jump_s;
    Duration left;
  };
  for (const Case& one : {Case{0, 25s}, Case{7, 18s}, Case{20, 15s}, Case{day_s, 15s}, Case{-day_s, 30s}}) {
    registry = Registry{};
    configure(registry, {configured()});
    enter(server("x", "10.0.0.1", 3));
    registry.change("app", "x", {.drained = true}, {});
    later(5s);
    const RegistryState state = registry.state(moment());
    registry = Registry{};
    configure(registry, {configured()});
    now = Instant{77};  // another boot
    unix_s += one.unix_jump_s;
    EXPECT_TRUE(registry.restore(state, moment()).empty());
    EXPECT_EQ(registry.next_expiry(), now + one.left) << one.unix_jump_s;
    EXPECT_EQ(at("x").origin, Origin::registration);
    EXPECT_TRUE(at("x").drained);
    EXPECT_TRUE(renew("x"));
    later(30s);
    EXPECT_EQ(expire(), Ids{"x"});
  }
}

TEST_F(Leases, a_restart_with_a_state_as_old_as_the_registrations_drops_nobody_alive) {
  enter_many(10);
  const RegistryState old = registry.state(moment());
  for (int i = 0; i < 100; ++i) {
    later(10s);
    for (int s = 0; s < 10; ++s) renew("s" + std::to_string(s));
  }
  EXPECT_EQ(registry.revision(), old.revision);  // so nothing was written since
  registry = Registry{};
  configure(registry, {configured()});
  registry.restore(old, moment());
  for (int s = 0; s < 10; ++s) {
    later(1s);
    EXPECT_TRUE(expire().empty());
    EXPECT_TRUE(renew("s" + std::to_string(s)));
  }
}

TEST_F(Leases, who_died_during_a_restart_goes_after_it) {
  enter_many(10);
  later(20s);
  restart();
  for (int s = 0; s < 9; ++s) renew("s" + std::to_string(s));
  later(15s);
  EXPECT_EQ(expire(), Ids{"s9"});
}

TEST_F(Leases, leases_of_a_pool_that_vanished_stand_still) {
  enter_many(4);
  configure(registry, {pool("other", {})});
  EXPECT_EQ(registry.next_expiry(), never);
  later(1h);
  EXPECT_TRUE(expire().empty());
  EXPECT_TRUE(configure(registry, {configured()}).empty());
  EXPECT_TRUE(expire().empty());
  EXPECT_EQ(overdue(), 4U);
  EXPECT_TRUE(renew("s0"));
}

TEST_F(Leases, a_storm_of_ten_thousand_registrations) {
  RegistrationOptions many = registration();
  many.servers_max = 10'000;
  configure(registry, {configured({}, many)});
  const auto host = [](int i) { return "10.0." + std::to_string(i / 250) + "." + std::to_string(i % 250 + 1); };
  for (int i = 0; i < 10'000; ++i) {
    enter(server("s" + std::to_string(i), host(i)));
    later(100us);
  }
  EXPECT_EQ(refusal(server("more", "10.200.0.1")), Kind::limit_reached);
  for (int round = 0; round < 5; ++round) {
    later(10s);
    for (int i = 0; i < 10'000; ++i) {
      if (i % 10 != 3 || round == 0) ASSERT_TRUE(renew("s" + std::to_string(i)));
      if (i % 100 == 0) expire();
    }
  }
  EXPECT_EQ(registry.servers("app").size(), 9'000U);
  later(31s);
  for (int i = 0; i < 1'000; ++i) {
    later(1ms);
    expire();
  }
  EXPECT_EQ(overdue(), 9'000U);
}

}  // namespace registry_leases_test
}  // namespace steelyard
