// Bodies alone, where their values count, and a server as it is shown.
#include "admin/bodies.hpp"

#include <gtest/gtest.h>

#include "admin/json_body.hpp"

namespace steelyard::admin {
namespace bodies_test {

TEST(Bodies, leave_out_what_keeps_its_default) {
  const auto body = read_server(R"({"address": "[::1]:80"})");
  ASSERT_TRUE(body);
  EXPECT_EQ(body->server.host, "::1");
  EXPECT_EQ(body->server.port, 80);
  EXPECT_EQ(body->server.weight, 1U);
  EXPECT_FALSE(body->server.active_max);
  EXPECT_FALSE(body->lease);
  EXPECT_EQ(*read_change("{}"), ServerChange{});
}

TEST(Bodies, tell_null_from_absence) {
  EXPECT_FALSE(read_change("{}")->active_max.has_value());
  const auto reset = read_change(R"({"active_max": null})");
  ASSERT_TRUE(reset->active_max.has_value());
  EXPECT_FALSE(reset->active_max->has_value());
  EXPECT_EQ(read_change(R"({"active_max": 3})")->active_max, std::optional(std::optional(3U)));
  EXPECT_FALSE(read_server(R"({"address": "a:1", "active_max": null})")->server.active_max);
}

TEST(Bodies, may_be_absent_where_nothing_must_be_said) {
  EXPECT_FALSE(read_deadline("")->deadline);
  EXPECT_EQ(read_deadline(R"({"deadline": "0s"})")->deadline, Duration{0});
  EXPECT_FALSE(read_renewal("")->report.load);
  EXPECT_TRUE(read_nothing(""));
  EXPECT_TRUE(read_nothing("{}"));
  EXPECT_FALSE(read_nothing(R"({"x": 1})"));
  EXPECT_EQ(read_server("").error().status, 400);
  EXPECT_EQ(read_change("").error().status, 400);
}

WantedServer server() {
  WantedServer wanted;
  wanted.options = {.id = "a",
                    .host = "::1",
                    .port = 80,
                    .weight = 4,
                    .backup = true,
                    .active_max = {},
                    .labels = {{"zone", "north"}},
                    .public_url = "https://a"};
  wanted.origin = Origin::registration;
  wanted.drained = true;
  wanted.forced = ForcedHealth::up;
  wanted.revision = 7;
  return wanted;
}

TEST(Representation, has_the_keys_that_a_server_is_put_with) {
  Json shown = represent(server(), Instant{});
  EXPECT_EQ(shown, Json::parse(R"({"id": "a", "address": "[::1]:80", "weight": 4, "backup": true, "labels": {"zone": "north"},
                                   "public_url": "https://a",
                                   "active_max": null, "origin": "registration", "drained": true, "forced": "up", "lease": null,
                                   "revision": 7})"));
  for (const char* more : {"id", "origin", "drained", "forced", "lease", "revision"}) shown.erase(more);
  const auto again = read_server(shown.dump());
  ASSERT_TRUE(again);
  EXPECT_EQ(again->server.host, "::1");
  EXPECT_EQ(again->server.labels, server().options.labels);
}

TEST(Representation, tells_of_the_lease) {
  WantedServer wanted = server();
  wanted.lease = Lease{.length = 30s, .expires = Instant{12'500'700'000}, .owner = "registration", .load = 3, .overdue = false};
  EXPECT_EQ(represent(wanted, Instant{0})["lease"],
            (Json{{"length", "30s"}, {"expires_in", "12500ms"}, {"owner", "registration"}, {"overdue", false}, {"load", 3}}));
  EXPECT_EQ(represent(wanted, Instant{20'000'000'000})["lease"]["expires_in"], "0s");
}

TEST(JsonBody, keeps_texts_apart_from_numbers) {
  const auto root = parse_json(R"([1, "1", -2, 1.50, 1e2, true, null, "\u00e9\n"])");
  ASSERT_TRUE(root);
  ASSERT_EQ(root->items.size(), 8U);
  EXPECT_FALSE(root->items[0].quoted);
  EXPECT_TRUE(root->items[1].quoted);
  EXPECT_EQ(root->items[2].text, "-2");
  EXPECT_EQ(root->items[3].text, "1.50");
  EXPECT_EQ(root->items[5].text, "true");
  EXPECT_EQ(root->items[6].kind, config::NodeKind::null);
  EXPECT_EQ(root->items[7].text, "\xc3\xa9\n");
}

TEST(JsonBody, says_where_it_ends_to_be_json) {
  const auto message = [](std::string_view text) { return parse_json(text).error(); };
  EXPECT_NE(message("").find("line 1, column 1"), std::string::npos) << message("");
  EXPECT_NE(message("{\n\n  x").find("line 3, column 3"), std::string::npos) << message("{\n\n  x");
  EXPECT_NE(message("[1e999]").find("a number that cannot be kept"), std::string::npos) << message("[1e999]");
  EXPECT_LT(message("\"" + std::string(100'000, 'x')).size(), 300U);
}

}  // namespace bodies_test
}  // namespace steelyard::admin
