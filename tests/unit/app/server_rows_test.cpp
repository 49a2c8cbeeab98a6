#include "app/server_rows.hpp"

#include <gtest/gtest.h>

namespace steelyard {
namespace server_rows_test {

AdminJson state(const char* id, const char* health) {
  return {{"id", id},    {"address", id},     {"health", health}, {"reason", "because"}, {"since_unix_seconds", 900},
          {"active", 3}, {"latency_ms", 1.5}, {"requests", 20},   {"failures", 1},       {"error_statuses", 2}};
}

AdminJson server(const char* id, const std::vector<AdminJson>& states) {
  return {{"id", id}, {"address", id}, {"weight", 4}, {"origin", "configuration"}, {"lease", nullptr}, {"states", states}};
}

TEST(ServerRows, one_for_each_address) {
  const auto rows =
      server_rows("app", AdminJson::array({server("a:1", {state("a:1@10.0.0.1", "healthy"), state("a:1@10.0.0.2", "ejected")})}));
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].id, "a:1@10.0.0.1");
  EXPECT_TRUE(rows[0].up);
  EXPECT_EQ(rows[1].state, "ejected");
  EXPECT_FALSE(rows[1].up);
  EXPECT_EQ(rows[1].tone, Tone::bad);
  EXPECT_EQ(rows[1].weight, 4U);
  EXPECT_EQ(rows[1].requests, 20U);
}

TEST(ServerRows, a_name_without_address_is_not_up) {
  AdminJson nameless = server("a:1", {});
  EXPECT_EQ(server_rows("app", AdminJson::array({nameless}))[0].state, "joining");
  nameless["name_problem"] = "no such name";
  const auto row = server_rows("app", AdminJson::array({nameless}))[0];
  EXPECT_EQ(row.state, "no address");
  EXPECT_EQ(row.reason, "no such name");
  EXPECT_EQ(row.tone, Tone::bad);
}

TEST(ServerRows, origin_tells_the_lease) {
  AdminJson registered = server("a:1", {state("a:1", "healthy")});
  registered["origin"] = "registration";
  registered["lease"] = {{"expires_in", "21500ms"}, {"overdue", false}};
  EXPECT_EQ(server_rows("app", AdminJson::array({registered}))[0].origin, "lease 21s");
  registered["lease"]["overdue"] = true;
  EXPECT_EQ(server_rows("app", AdminJson::array({registered}))[0].origin, "lease overdue");
}

TEST(ServerRows, drained_and_broken_is_told_as_both) {
  AdminJson both = server("a:1", {state("a:1", "unhealthy")});
  both["drained"] = true;
  EXPECT_EQ(server_rows("app", AdminJson::array({both}))[0].reason, "because; drained, too");
  both["states"][0]["health"] = "drained";
  EXPECT_EQ(server_rows("app", AdminJson::array({both}))[0].reason, "because");
}

TEST(ServerRows, control_characters_do_not_reach_the_terminal) {
  const auto rows = server_rows("app", AdminJson::array({server("a", {state("\x1b[2Jx", "healthy")})}));
  EXPECT_EQ(rows[0].id.find('\x1b'), std::string::npos);
}

TEST(ServerRows, survive_what_is_not_as_expected) {
  EXPECT_TRUE(server_rows("app", nullptr).empty());
  EXPECT_EQ(server_rows("app", AdminJson::array({3, AdminJson::object(), {{"states", 7}, {"lease", "x"}, {"weight", "y"}}})).size(), 3U);
}

TEST(ServerTable, shows_the_broken_before_the_drained_before_the_rest) {
  const auto rows =
      server_rows("app", AdminJson::array({server("well", {state("well", "healthy")}), server("away", {state("away", "drained")}),
                                           server("dead", {state("dead", "unreachable")})}));
  const std::string text = server_table(rows, 1000, false);
  EXPECT_LT(text.find("dead"), text.find("away"));
  EXPECT_LT(text.find("away"), text.find("well"));
  EXPECT_EQ(text,
            "POOL  ID    STATE        SINCE  WEIGHT  ACTIVE  REQUESTS  FAILED  5XX  LATENCY  ORIGIN\n"
            "app   dead  unreachable     1m       4       3        20       1    2   1.50ms  config\n"
            "    because\n"
            "app   away  drained         1m       4       3        20       1    2   1.50ms  config\n"
            "    because\n"
            "app   well  healthy         1m       4       3        20       1    2   1.50ms  config\n");
}

TEST(PoolSummary, names_a_few_of_those_that_are_not_up) {
  AdminJson servers = AdminJson::array();
  for (const char* id : {"a", "b", "c", "d", "e", "f", "g"}) servers.push_back(server(id, {state(id, *id == 'a' ? "healthy" : "ejected")}));
  EXPECT_EQ(pool_summary("app", server_rows("app", servers), false),
            "app: 1 of 7 up; not up: b (ejected), c (ejected), d (ejected), e (ejected), f (ejected) and 1 more\n");
  EXPECT_EQ(pool_summary("other", server_rows("app", servers), false), "other: no servers\n");
}

}  // namespace server_rows_test
}  // namespace steelyard
