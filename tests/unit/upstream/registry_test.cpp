// Which servers a pool is to have: the configuration and what operators say of it since.
#include "upstream/registry.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/registered_pools.hpp"

namespace steelyard {
namespace registry_test {

using namespace registered;
using Effect = Applied::Effect;
using Kind = Refusal::Kind;
using Ids = std::vector<std::string>;
using Sentences = std::vector<std::string>;

const Moment start{Instant{1'000'000'000}, 1'700'000'000};

class RegistryTest : public testing::Test {
 protected:
  void SetUp() override { configure(registry, {pool("app", {server("a", "10.0.0.1"), server("b", "10.0.0.2", 3)})}); }

  Effect put(const ServerOptions& options, const Precondition& precondition = {}) {
    const auto applied = registry.put("app", options, precondition);
    EXPECT_TRUE(applied) << applied.error().message;
    return applied ? applied->effect : Effect::unchanged;
  }
  Effect change(const std::string& id, const ServerChange& change) {
    const auto applied = registry.change("app", id, change, {});
    EXPECT_TRUE(applied) << applied.error().message;
    return applied ? applied->effect : Effect::unchanged;
  }
  void remove(const std::string& id) { EXPECT_TRUE(registry.remove("app", id, {})); }
  Refusal refused_put(const ServerOptions& options, const Precondition& precondition = {}) {
    const std::uint64_t before = registry.revision();
    const auto applied = registry.put("app", options, precondition);
    EXPECT_FALSE(applied);
    EXPECT_EQ(registry.revision(), before);
    return applied ? Refusal{} : applied.error();
  }
  WantedServer at(const std::string& id) {
    const auto server = registry.server("app", id);
    EXPECT_TRUE(server) << server.error().message;
    return server.value_or(WantedServer{});
  }
  // The same state in a new process with another configuration.
  Sentences restart(std::initializer_list<PoolOptions> pools) {
    const RegistryState state = registry.state(start);
    registry = Registry{};
    configure(registry, pools);
    return registry.restore(state, start);
  }

  Registry registry;
};

TEST_F(RegistryTest, without_changes_there_is_what_is_configured) {
  EXPECT_EQ(ids(registry), (Ids{"a", "b"}));
  EXPECT_EQ(at("b").options.weight, 3U);
  EXPECT_EQ(at("b").origin, Origin::configuration);
  EXPECT_TRUE(registry.state(start).pools.empty());
  EXPECT_TRUE(registry.servers("nowhere").empty());
}

TEST_F(RegistryTest, what_was_added_comes_after_what_is_configured) {
  EXPECT_EQ(put(server("0", "10.0.0.9")), Effect::created);
  EXPECT_EQ(put(server("z", "app.internal")), Effect::created);
  EXPECT_EQ(ids(registry), (Ids{"a", "b", "0", "z"}));
  EXPECT_EQ(at("0").origin, Origin::admin);
}

TEST_F(RegistryTest, putting_the_same_again_changes_nothing) {
  const auto first = registry.put("app", server("x", "10.0.0.9", 2), {});
  const auto second = registry.put("app", server("x", "10.0.0.9", 2), {});
  EXPECT_EQ(second->effect, Effect::unchanged);
  EXPECT_EQ(second->revision, first->revision);
  EXPECT_EQ(registry.revision(), first->revision);
  EXPECT_EQ(put(server("a", "10.0.0.1")), Effect::unchanged);
  EXPECT_EQ(put(server("a", "::ffff:10.0.0.1")), Effect::unchanged);
}

TEST_F(RegistryTest, a_change_shows_and_has_a_new_revision) {
  const std::uint64_t before = at("a").revision;
  const std::uint64_t of_another = at("b").revision;
  ServerChange all{
      .weight = 7, .backup = true, .active_max = 9, .labels = {{{"zone", "x"}}}, .drained = true, .forced = ForcedHealth::down};
  EXPECT_EQ(change("a", all), Effect::changed);
  EXPECT_EQ(change("a", all), Effect::unchanged);
  const WantedServer now = at("a");
  EXPECT_EQ(now.options.weight, 7U);
  EXPECT_TRUE(now.options.backup);
  EXPECT_EQ(now.options.active_max, 9U);
  EXPECT_EQ(now.options.labels.at("zone"), "x");
  EXPECT_TRUE(now.drained);
  EXPECT_EQ(now.forced, ForcedHealth::down);
  EXPECT_GT(now.revision, before);
  EXPECT_EQ(at("b").revision, of_another);
  EXPECT_EQ(change("a", {}), Effect::unchanged);
}

TEST_F(RegistryTest, the_pools_limit_can_be_given_back) {
  change("a", {.active_max = 9});
  EXPECT_EQ(change("a", {.active_max = std::optional<std::uint32_t>{}}), Effect::changed);
  EXPECT_EQ(at("a").options.active_max, std::nullopt);
}

TEST_F(RegistryTest, a_change_back_leaves_no_trace) {
  change("a", {.weight = 7, .labels = {{{"zone", "x"}}}, .drained = true, .forced = ForcedHealth::up});
  change("a", {.weight = 1, .labels = std::map<std::string, std::string>{}, .drained = false, .forced = ForcedHealth::none});
  EXPECT_TRUE(registry.state(start).pools.empty());
  const std::uint64_t revision = at("a").revision;
  EXPECT_EQ(revision, registry.revision());
  change("a", {.weight = 7});
  EXPECT_EQ(put(server("a", "10.0.0.1")), Effect::changed);
  EXPECT_TRUE(registry.state(start).pools.empty());
}

TEST_F(RegistryTest, putting_keeps_what_an_operator_said_of_health) {
  change("a", {.drained = true, .forced = ForcedHealth::down});
  put(server("a", "10.0.0.1", 5));
  EXPECT_TRUE(at("a").drained);
  EXPECT_EQ(at("a").forced, ForcedHealth::down);
  EXPECT_EQ(at("a").options.weight, 5U);
}

TEST_F(RegistryTest, a_change_lives_until_the_configuration_changes_the_server) {
  change("a", {.weight = 5, .drained = true});
  change("b", {.weight = 6});
  EXPECT_TRUE(configure(registry, {pool("app", {server("b", "10.0.0.2", 3), server("a", "10.0.0.1"), server("c", "10.0.0.3")})}).empty());
  EXPECT_EQ(at("a").options.weight, 5U);
  const auto sentences = configure(registry, {pool("app", {server("a", "10.0.0.1", 2), server("b", "10.0.0.2", 3)})});
  EXPECT_EQ(sentences,
            Sentences{"pools.app: server a: the change made at run time (weight 5, drained) is dropped, because the configuration "
                      "has changed it since"});
  EXPECT_EQ(at("a").options.weight, 2U);
  EXPECT_FALSE(at("a").drained);
  EXPECT_EQ(at("b").options.weight, 6U);
}

TEST_F(RegistryTest, each_option_of_a_server_counts_as_changed) {
  const ServerOptions base = server("a", "10.0.0.1");
  std::vector<ServerOptions> others(6, base);
  others[0].host = "10.0.0.4";
  others[1].port = 1;
  others[2].weight = 4;
  others[3].backup = true;
  others[4].active_max = 4;
  others[5].labels = {{"k", "v"}};
  for (const ServerOptions& other : others) {
    configure(registry, {pool("app", {base})});
    change("a", {.weight = 5});
    EXPECT_EQ(configure(registry, {pool("app", {other})}).size(), 1U);
    EXPECT_EQ(at("a").options, other);
  }
}

TEST_F(RegistryTest, a_removed_server_stays_away_until_the_configuration_changes_it) {
  remove("a");
  EXPECT_EQ(ids(registry), Ids{"b"});
  EXPECT_TRUE(configure(registry, {pool("app", {server("a", "10.0.0.1"), server("b", "10.0.0.2", 3)})}).empty());
  EXPECT_EQ(ids(registry), Ids{"b"});
  const auto sentences = configure(registry, {pool("app", {server("a", "10.0.0.1", 9), server("b", "10.0.0.2", 3)})});
  EXPECT_EQ(sentences,
            Sentences{"pools.app: server a: the removal at run time is dropped, because the configuration has changed it since"});
  EXPECT_EQ(ids(registry), (Ids{"a", "b"}));
}

TEST_F(RegistryTest, what_vanishes_from_the_configuration_takes_its_change_along) {
  remove("a");
  change("b", {.weight = 5});
  const auto sentences = configure(registry, {pool("app", {server("c", "10.0.0.3")})});
  EXPECT_EQ(sentences, (Sentences{"pools.app: server a: the removal at run time is dropped, because the configuration does not have this "
                                  "server any more",
                                  "pools.app: server b: the change made at run time (weight 5) is dropped, because the configuration does "
                                  "not have this server any more"}));
  configure(registry, {pool("app", {server("a", "10.0.0.1"), server("b", "10.0.0.2", 3)})});
  EXPECT_EQ(ids(registry), (Ids{"a", "b"}));
  EXPECT_EQ(at("b").options.weight, 3U);
}

TEST_F(RegistryTest, what_was_added_and_is_configured_later_is_configured) {
  put(server("x", "10.0.0.9", 5));
  const auto sentences = configure(registry, {pool("app", {server("x", "10.0.0.9", 2)})});
  ASSERT_EQ(sentences.size(), 1U);
  EXPECT_TRUE(sentences[0].contains("server x: what was added at run time is dropped")) << sentences[0];
  EXPECT_EQ(at("x").origin, Origin::configuration);
  EXPECT_EQ(at("x").options.weight, 2U);
  configure(registry, {pool("app", {server("a", "10.0.0.1")})});
  EXPECT_EQ(ids(registry), Ids{"a"});
}

TEST_F(RegistryTest, what_was_added_goes_when_its_address_is_configured) {
  put(server("x", "10.0.0.9"));
  const auto sentences = configure(registry, {pool("app", {server("y", "10.0.0.9")})});
  ASSERT_EQ(sentences.size(), 1U);
  EXPECT_TRUE(sentences[0].contains("10.0.0.9:8000 is server y now")) << sentences[0];
  EXPECT_EQ(ids(registry), Ids{"y"});
}

TEST_F(RegistryTest, changes_outlive_a_pool_that_vanishes_and_comes_back) {
  change("a", {.weight = 5});
  put(server("x", "10.0.0.9"));
  const auto gone = configure(registry, {pool("other", {})});
  ASSERT_EQ(gone.size(), 1U);
  EXPECT_TRUE(gone[0].starts_with("pools.app: what was changed at run time (servers added: 1, changed or removed: 1) is kept")) << gone[0];
  EXPECT_TRUE(registry.servers("app").empty());
  EXPECT_EQ(registry.server("app", "a").error().kind, Kind::no_such_pool);
  EXPECT_EQ(registry.put("app", server("n", "10.0.0.8"), {}).error().kind, Kind::no_such_pool);
  EXPECT_TRUE(configure(registry, {pool("other", {})}).empty());
  EXPECT_EQ(restart({pool("other", {})}).size(), 1U);
  EXPECT_TRUE(configure(registry, {pool("app", {server("a", "10.0.0.1"), server("b", "10.0.0.2", 3)})}).empty());
  EXPECT_EQ(ids(registry), (Ids{"a", "b", "x"}));
  EXPECT_EQ(at("a").options.weight, 5U);
}

TEST_F(RegistryTest, an_address_is_changed_by_removing_first) {
  const Refusal refusal = refused_put(server("a", "10.0.0.8"));
  EXPECT_EQ(refusal.kind, Kind::exists);
  EXPECT_EQ(refusal.field, "address");
  EXPECT_TRUE(refusal.message.contains("remove it first")) << refusal.message;
  EXPECT_EQ(refused_put(server("a", "10.0.0.1", 1, 81)).kind, Kind::exists);
  remove("a");
  EXPECT_EQ(put(server("a", "10.0.0.8")), Effect::created);
  EXPECT_EQ(at("a").origin, Origin::admin);
  EXPECT_EQ(ids(registry), (Ids{"b", "a"}));
  EXPECT_TRUE(restart({pool("app", {server("a", "10.0.0.1"), server("b", "10.0.0.2", 3)})}).empty());
  EXPECT_EQ(at("a").options.host, "10.0.0.8");
  remove("a");
  EXPECT_EQ(ids(registry), Ids{"b"});
  EXPECT_EQ(configure(registry, {pool("app", {server("a", "10.0.0.7")})}).size(), 1U);
  EXPECT_EQ(at("a").options.host, "10.0.0.7");
}

TEST_F(RegistryTest, an_address_is_in_a_pool_once) {
  EXPECT_EQ(refused_put(server("x", "10.0.0.1")).kind, Kind::exists);
  put(server("x", "10.0.0.9"));
  EXPECT_EQ(refused_put(server("y", "::ffff:10.0.0.9")).field, "address");
  remove("x");
  EXPECT_EQ(put(server("y", "10.0.0.9")), Effect::created);
  remove("a");
  EXPECT_EQ(put(server("z", "10.0.0.1")), Effect::created);
  EXPECT_EQ(refused_put(server("a", "10.0.0.1")).kind, Kind::exists);
}

TEST_F(RegistryTest, a_removed_configured_server_can_be_put_back) {
  change("a", {.drained = true});
  remove("a");
  EXPECT_EQ(registry.change("app", "a", {.weight = 2}, {}).error().kind, Kind::no_such_server);
  EXPECT_EQ(put(server("a", "10.0.0.1")), Effect::created);
  EXPECT_EQ(at("a").origin, Origin::configuration);
  EXPECT_FALSE(at("a").drained);
  EXPECT_TRUE(registry.state(start).pools.empty());
}

TEST_F(RegistryTest, preconditions_hold_or_nothing_happens) {
  const std::uint64_t revision = at("a").revision;
  EXPECT_EQ(refused_put(server("a", "10.0.0.1", 5), {.absent = true}).kind, Kind::changed_since);
  EXPECT_EQ(refused_put(server("x", "10.0.0.9"), {.revision = revision}).kind, Kind::changed_since);
  EXPECT_EQ(put(server("x", "10.0.0.9"), {.absent = true}), Effect::created);
  EXPECT_TRUE(registry.change("app", "a", {.weight = 2}, {.revision = revision}));
  const auto stale = registry.change("app", "a", {.weight = 3}, {.revision = revision});
  EXPECT_EQ(stale.error().kind, Kind::changed_since);
  EXPECT_TRUE(stale.error().message.contains("read it again")) << stale.error().message;
  EXPECT_EQ(registry.remove("app", "a", {.revision = revision}).error().kind, Kind::changed_since);
  EXPECT_TRUE(registry.remove("app", "a", {.revision = at("a").revision}));
}

TEST_F(RegistryTest, revisions_of_before_a_restart_do_not_fit_after_it) {
  const std::uint64_t configured = at("b").revision;
  const std::uint64_t added = registry.put("app", server("x", "10.0.0.9"), {})->revision;
  change("a", {.weight = 5});
  const std::uint64_t changed = at("a").revision;
  restart({pool("app", {server("a", "10.0.0.1"), server("b", "10.0.0.2", 4)})});
  EXPECT_EQ(at("x").revision, added);
  EXPECT_EQ(at("a").revision, changed);
  EXPECT_GT(at("b").revision, std::max({configured, added, changed}));
}

TEST_F(RegistryTest, a_restart_applies_the_same_rules_as_a_reload) {
  change("a", {.weight = 5});
  remove("b");
  put(server("x", "10.0.0.9", 2));
  EXPECT_TRUE(restart({pool("app", {server("a", "10.0.0.1"), server("b", "10.0.0.2", 3)})}).empty());
  EXPECT_EQ(ids(registry), (Ids{"a", "x"}));
  EXPECT_EQ(at("a").options.weight, 5U);
  EXPECT_EQ(restart({pool("app", {server("a", "10.0.0.1", 2), server("b", "10.0.0.2"), server("x", "10.0.0.9")})}).size(), 3U);
  EXPECT_EQ(ids(registry), (Ids{"a", "b", "x"}));
  EXPECT_EQ(at("a").options.weight, 2U);
  EXPECT_TRUE(registry.state(start).pools.empty());
}

TEST_F(RegistryTest, only_what_shows_has_a_new_revision) {
  const std::uint64_t revision = registry.revision();
  configure(registry, {pool("app", {server("a", "10.0.0.1"), server("b", "10.0.0.2", 3)})});
  EXPECT_EQ(registry.revision(), revision);
  configure(registry, {pool("app", {server("a", "10.0.0.1")})});
  EXPECT_GT(registry.revision(), revision);
}

TEST_F(RegistryTest, refuses_what_is_wrong_and_names_the_field) {
  EXPECT_EQ(refused_put(server("x/y", "10.0.0.9")).field, "id");
  EXPECT_EQ(refused_put(server("", "10.0.0.9")).field, "id");
  EXPECT_EQ(refused_put(server("x", "10.0.0.999")).field, "address");
  EXPECT_EQ(refused_put(server("x", "10.0.0.9", 1001)).field, "weight");
  EXPECT_EQ(registry.change("app", "a", {.weight = 1001}, {}).error().field, "weight");
  EXPECT_EQ(registry.change("app", "a", {.active_max = 0}, {}).error().field, "active_max");
  EXPECT_EQ(at("a").options.weight, 1U);
}

TEST_F(RegistryTest, says_what_there_is_instead) {
  EXPECT_EQ(registry.server("app", "x").error().kind, Kind::no_such_server);
  EXPECT_EQ(registry.remove("app", "x", {}).error().kind, Kind::no_such_server);
  const auto refusal = registry.change("api", "x", {}, {});
  EXPECT_EQ(refusal.error().kind, Kind::no_such_pool);
  EXPECT_TRUE(refusal.error().message.contains("the configuration has app")) << refusal.error().message;
}

TEST_F(RegistryTest, operators_may_add_many_but_not_without_limit) {
  for (std::size_t i = 0; i < Registry::added_max; ++i) {
    ASSERT_TRUE(
        registry.put("app", server("x" + std::to_string(i), "10.1." + std::to_string(i / 250) + "." + std::to_string(i % 250)), {}));
  }
  EXPECT_EQ(refused_put(server("more", "10.2.0.1")).kind, Kind::limit_reached);
  EXPECT_EQ(change("x7", {.weight = 2}), Effect::changed);
  remove("x7");
  EXPECT_EQ(put(server("more", "10.2.0.1")), Effect::created);
}

}  // namespace registry_test
}  // namespace steelyard
