// What a plan says of two configurations.
#include "config/plan.hpp"

#include <gtest/gtest.h>

#include "config/load.hpp"

namespace steelyard::config {
namespace plan_test {

using Names = std::vector<std::string>;

constexpr const char* base = R"(
listeners: [{bind: 127.0.0.1:8080}, {bind: 127.0.0.1:8081}]
routes:
  - {name: api, match: {path: /api/*}, pool: api}
  - {name: rest, match: {}, pool: web}
pools:
  api: {servers: [{address: 10.0.0.1:80}, {address: 10.0.0.2:80, weight: 2}], health: {interval: 2s}}
  web: {servers: [10.0.1.1:80]}
)";

Options loaded(const std::string& text) {
  auto options = load_text(text, "t");
  EXPECT_TRUE(options) << to_string(options.error().front());
  return options ? options->options : Options{};
}

// The base with one text for another.
Plan after(std::string_view before, const std::string& instead) {
  std::string text = base;
  const std::size_t at = text.find(before);
  EXPECT_NE(at, std::string::npos);
  return compare(loaded(base), loaded(text.replace(at, before.size(), instead)));
}

TEST(Plan, of_the_same_is_empty) {
  const Plan plan = compare(loaded(base), loaded(base));
  EXPECT_TRUE(plan.empty());
  EXPECT_EQ(plan.routes.unchanged, 2U);
  EXPECT_EQ(plan.pools.unchanged, 2U);
  EXPECT_EQ(plan.listeners.unchanged, 2U);
}

TEST(Plan, does_not_see_another_spelling_of_the_same) {
  EXPECT_TRUE(after("{servers: [10.0.1.1:80]}", "{servers: [{address: 10.0.1.1:80, weight: 1}], algorithm: adaptive}").empty());
}

TEST(Plan, names_listeners_by_their_address) {
  const Plan plan = after("{bind: 127.0.0.1:8081}", "{bind: 127.0.0.1:8082}");
  EXPECT_EQ(plan.listeners.added, Names{"127.0.0.1:8082"});
  EXPECT_EQ(plan.listeners.removed, Names{"127.0.0.1:8081"});
  EXPECT_EQ(plan.listeners.unchanged, 1U);
}

TEST(Plan, says_which_keys_of_a_pool_differ) {
  const Plan plan = after("interval: 2s", "interval: 3s, path: /ok");
  ASSERT_EQ(plan.pools.changed.size(), 1U);
  EXPECT_EQ(plan.pools.changed[0].name, "api");
  EXPECT_EQ(plan.pools.changed[0].keys, (Names{"health.path", "health.interval"}));
  EXPECT_TRUE(plan.servers.empty());
}

TEST(Plan, says_which_servers_of_a_pool_come_go_and_change) {
  const Plan plan = after("{address: 10.0.0.1:80}, {address: 10.0.0.2:80, weight: 2}", "{address: 10.0.0.2:80, weight: 3}, 10.0.0.3:80");
  EXPECT_TRUE(plan.pools.empty());
  ASSERT_EQ(plan.servers.size(), 1U);
  const Plan::Part& servers = plan.servers.at("api");
  EXPECT_EQ(servers.added, Names{"10.0.0.3:80"});
  EXPECT_EQ(servers.removed, Names{"10.0.0.1:80"});
  ASSERT_EQ(servers.changed.size(), 1U);
  EXPECT_EQ(servers.changed[0].keys, Names{"weight"});
}

TEST(Plan, does_not_list_the_servers_of_a_new_pool) {
  const Plan plan = after("  web: {servers: [10.0.1.1:80]}", "  web: {servers: [10.0.1.1:80]}\n  more: {servers: [10.0.2.1:80]}");
  EXPECT_EQ(plan.pools.added, Names{"more"});
  EXPECT_TRUE(plan.servers.empty());
}

TEST(Plan, tells_routes_apart_by_name) {
  const Plan plan = after("{name: rest, match: {}, pool: web}", "{name: rest, match: {}, pool: api}");
  ASSERT_EQ(plan.routes.changed.size(), 1U);
  EXPECT_EQ(plan.routes.changed[0].name, "rest");
  EXPECT_EQ(plan.routes.changed[0].keys, Names{"pool"});
}

TEST(Plan, says_what_else_differs_and_what_of_it_waits_for_a_start) {
  const Plan plan = after("pools:", "workers: 7\ntimeouts: {idle: 9s}\npools:");
  EXPECT_EQ(plan.keys, (Names{"workers", "timeouts.idle"}));
  EXPECT_EQ(plan.at_restart, Names{"workers"});
}

}  // namespace plan_test
}  // namespace steelyard::config
