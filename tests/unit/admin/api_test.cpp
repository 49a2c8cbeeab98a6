// Each endpoint, as a client sees it: what the Control is told, what comes back, and what is refused.
#include "admin/api.hpp"

#include "fixture.hpp"

namespace steelyard::admin {
namespace api_test {

using Calls = std::vector<std::string>;

TEST_F(ApiTest, shows_what_there_is) {
  for (const char* what : {"status", "pools", "routes", "listeners", "exchanges"}) {
    const Response response = ask("GET", fmt::format("/v1/{}", what));
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.json()["shows"], what);
  }
  EXPECT_EQ(ask("GET", "/v1/pools/app").json()["pool"], "app");
  EXPECT_TRUE(ask("GET", "/v1/pools/app/servers").json().contains("servers"));
  EXPECT_EQ(ask("GET", server_a).json()["id"], "a");
  EXPECT_EQ(control.calls, Calls{});
}

TEST_F(ApiTest, shows_the_configuration_as_yaml) {
  const Response response = ask("GET", "/v1/configuration");
  EXPECT_EQ(response.field("Content-Type"), "application/yaml");
  EXPECT_EQ(response.body, "listeners: []\n");
}

TEST_F(ApiTest, says_with_each_answer_that_it_is_not_kept_nor_guessed_at) {
  for (const char* target : {"/v1/status", "/nowhere", server_a}) {
    const Response response = ask("GET", target);
    EXPECT_EQ(response.field("Cache-Control"), "no-store");
    EXPECT_EQ(response.field("X-Content-Type-Options"), "nosniff");
    EXPECT_EQ(response.field("Content-Type"), "application/json");
    EXPECT_EQ(response.field("Content-Length"), std::to_string(response.body.size()));
  }
}

TEST_F(ApiTest, answers_head_as_get_without_the_body) {
  const Response get = ask("GET", server_a);
  const Response head = ask("HEAD", server_a);
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.body, "");
  EXPECT_EQ(head.field("Content-Length"), get.field("Content-Length"));
  EXPECT_EQ(head.field("ETag"), "\"5\"");
}

TEST_F(ApiTest, names_the_pool_or_server_that_is_not_there) {
  for (const char* target : {"/v1/pools/none", "/v1/pools/none/servers", "/v1/pools/none/servers/a"}) {
    const Response response = ask("GET", target);
    EXPECT_EQ(response.status, 404);
    EXPECT_EQ(response.code(), "no_such_pool");
  }
  EXPECT_EQ(ask("GET", server_new).code(), "no_such_server");
  EXPECT_EQ(ask("DELETE", server_new).status, 404);
}

TEST_F(ApiTest, adds_a_server) {
  const Response response = ask("PUT", server_new, R"({"address": "10.0.0.5:8001", "weight": 3, "backup": true, "active_max": 7,
                                                        "labels": {"zone": "north"}})");
  EXPECT_EQ(response.status, 201);
  EXPECT_EQ(response.field("Location"), server_new);
  EXPECT_EQ(response.field("ETag"), "\"6\"");
  EXPECT_EQ(response.json()["id"], "new");
  EXPECT_EQ(control.calls, Calls{"put app new 10.0.0.5 weight 3 if 0 absent false"});
  ASSERT_TRUE(control.put);
  EXPECT_EQ(control.put->port, 8001);
  EXPECT_TRUE(control.put->backup);
  EXPECT_EQ(control.put->active_max, 7U);
  EXPECT_EQ(control.put->labels.at("zone"), "north");
}

TEST_F(ApiTest, replaces_a_server_that_is_there) {
  const Response response = ask("PUT", server_a, address_body);
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.field("Location"), "");
  EXPECT_EQ(response.field("ETag"), "\"6\"");
}

TEST_F(ApiTest, decodes_names_in_the_path_and_encodes_them_in_the_location) {
  const Response response = ask("PUT", "/v1/pools/app/servers/%5b::1%5D:80", address_body);
  EXPECT_EQ(response.status, 201);
  EXPECT_EQ(response.json()["id"], "[::1]:80");
  EXPECT_EQ(response.field("Location"), "/v1/pools/app/servers/%5B%3A%3A1%5D%3A80");
  EXPECT_EQ(ask("GET", response.field("Location")).status, 200);
}

TEST_F(ApiTest, registers_a_server_that_asks_for_a_lease) {
  EXPECT_EQ(ask("PUT", server_new, R"({"address": "10.0.0.5:8001", "lease": "30s", "load": 4})").status, 201);
  EXPECT_EQ(control.calls, Calls{"announce app new 10.0.0.5 lease 30 owner operator load 4"});
}

TEST_F(ApiTest, refuses_a_load_without_a_lease) {
  const Response response = ask("PUT", server_new, R"({"address": "10.0.0.5:8001", "load": 4})");
  EXPECT_EQ(response.status, 422);
  EXPECT_EQ(response.error_field(), "load");
  EXPECT_EQ(control.calls, Calls{});
}

TEST_F(ApiTest, changes_only_what_is_given) {
  EXPECT_EQ(ask("PATCH", server_a, R"({"weight": 2, "active_max": null, "drained": true, "forced": "down"})").status, 200);
  ASSERT_TRUE(control.changed);
  ServerChange expected;
  expected.weight = 2;
  expected.active_max.emplace();
  expected.drained = true;
  expected.forced = ForcedHealth::down;
  EXPECT_EQ(*control.changed, expected);
  EXPECT_EQ(control.calls, Calls{"change app a if 0"});
}

TEST_F(ApiTest, removes_a_server_and_says_what_is_still_under_way) {
  Response response = ask("DELETE", server_a);
  EXPECT_EQ(response.status, 204);
  EXPECT_EQ(response.body, "");
  EXPECT_EQ(response.field("Content-Length"), "");
  control.exchanges_active = 3;
  response = ask("DELETE", std::string(server_a) + "?deadline=10s");
  EXPECT_EQ(response.status, 202);
  EXPECT_EQ(response.json()["exchanges_active"], 3);
  EXPECT_EQ(ask("DELETE", server_a, R"({"deadline": "1.5h"})").status, 202);
  EXPECT_EQ(control.calls, (Calls{"remove app a if 0 deadline -1", "remove app a if 0 deadline 10", "remove app a if 0 deadline 5400"}));
}

TEST_F(ApiTest, drains_and_undrains) {
  EXPECT_EQ(ask("POST", std::string(server_a) + "/drain").status, 200);
  control.exchanges_active = 1;
  EXPECT_EQ(ask("POST", std::string(server_a) + "/drain?deadline=30s").status, 202);
  EXPECT_EQ(ask("POST", std::string(server_a) + "/undrain").status, 200);
  EXPECT_EQ(ask("POST", std::string(server_a) + "/undrain", "{}").status, 200);
  EXPECT_EQ(control.calls, (Calls{"drain app a deadline -1", "drain app a deadline 30", "undrain app a", "undrain app a"}));
}

TEST_F(ApiTest, refuses_a_deadline_twice_or_none_that_is_known) {
  const std::string drain = std::string(server_a) + "/drain";
  EXPECT_EQ(ask("POST", drain + "?deadline=1s", R"({"deadline": "1s"})").status, 422);
  EXPECT_EQ(ask("POST", drain + "?deadline=1").status, 422);
  EXPECT_EQ(ask("POST", drain + "?deadline=1s&deadline=2s").status, 422);
  EXPECT_NE(ask("POST", drain + "?dedline=1s").message().find("did you mean \"deadline\"?"), std::string::npos);
  EXPECT_EQ(ask("GET", "/v1/status?pretty").status, 422);
  EXPECT_EQ(ask("POST", "/v1/reload?deadline=1s").status, 422);
  EXPECT_EQ(control.calls, Calls{});
}

TEST_F(ApiTest, renews) {
  EXPECT_EQ(ask("POST", std::string(server_a) + "/renew").status, 200);
  EXPECT_EQ(ask("POST", std::string(server_a) + "/renew", R"({"load": 9})").status, 200);
  EXPECT_EQ(control.calls, (Calls{"renew app a owner operator load 0", "renew app a owner operator load 9"}));
  control.calls.clear();
  EXPECT_EQ(ask("POST", std::string(server_a) + "/renew", R"({"load": 9, "arrived": 12, "run": "4f.1"})").status, 200);
  EXPECT_EQ(control.calls, (Calls{"renew app a owner operator load 9", "report app a load 9 arrived 12 run 4f.1"}));
  control.calls.clear();
  for (const char* part : {R"({"arrived": 12, "run": "4f"})", R"({"load": 9, "run": "4f"})", R"({"load": 9, "arrived": 12})",
                           R"({"load": 9, "arrived": -1, "run": "4f"})", R"({"load": 9, "arrived": 1, "run": ""})"}) {
    EXPECT_EQ(ask("POST", std::string(server_a) + "/renew", part).status, 422) << part;
  }
  EXPECT_EQ(control.calls, Calls{});
}

TEST_F(ApiTest, reloads_and_checks) {
  EXPECT_EQ(ask("POST", "/v1/reload").json()["plan"], "reload");
  EXPECT_EQ(ask("POST", "/v1/check").json()["plan"], "check");
  EXPECT_EQ(control.checked, std::nullopt);
  EXPECT_EQ(ask("POST", "/v1/check", "pools: {}", {.fields = "Content-Type: application/yaml\r\n"}).status, 200);
  EXPECT_EQ(control.checked, "pools: {}");
  EXPECT_EQ(ask("POST", "/v1/check", R"({"pools": {}})").status, 200);
  EXPECT_EQ(control.calls, Calls{"reload"});
}

TEST_F(ApiTest, begins_upgrades_or_says_why_not) {
  EXPECT_EQ(ask("POST", "/v1/upgrade").status, 202);
  control.no_upgrade = "another one is under way";
  const Response refused = ask("POST", "/v1/upgrade");
  EXPECT_EQ(refused.status, 409);
  EXPECT_EQ(refused.code(), "no_upgrade");
  EXPECT_EQ(refused.message(), "another one is under way");
  EXPECT_EQ(control.calls, (Calls{"upgrade", "upgrade"}));
}

TEST_F(ApiTest, tells_all_problems_of_a_configuration) {
  control.problems = {{"a.yaml", 3, 7, "pools.api", "is wrong"}, {"a.yaml", 0, 0, "", "is too long"}};
  for (const char* target : {"/v1/reload", "/v1/check"}) {
    const Response response = ask("POST", target);
    EXPECT_EQ(response.status, 422);
    EXPECT_EQ(response.code(), "invalid_configuration");
    EXPECT_EQ(response.message(), "line 3, column 7: pools.api: is wrong");
    const Json problems = response.json()["error"]["problems"];
    ASSERT_EQ(problems.size(), 2U);
    EXPECT_EQ(problems[0], (Json{{"file", "a.yaml"}, {"line", 3}, {"column", 7}, {"field", "pools.api"}, {"message", "is wrong"}}));
    EXPECT_EQ(problems[1], (Json{{"file", "a.yaml"}, {"message", "is too long"}}));
  }
}

TEST_F(ApiTest, gives_each_refusal_its_status) {
  using Kind = Refusal::Kind;
  const std::vector<std::tuple<Kind, int, std::string>> expected{{Kind::no_such_pool, 404, "no_such_pool"},
                                                                 {Kind::no_such_server, 404, "no_such_server"},
                                                                 {Kind::exists, 409, "exists"},
                                                                 {Kind::changed_since, 412, "changed_since"},
                                                                 {Kind::not_owner, 403, "not_owner"},
                                                                 {Kind::not_allowed, 403, "not_allowed"},
                                                                 {Kind::limit_reached, 409, "limit_reached"},
                                                                 {Kind::invalid, 422, "invalid"}};
  for (const auto& [kind, status, code] : expected) {
    control.refusal = Refusal{kind, "lease", "what was found and what to do"};
    const Response response = ask("PUT", server_a, address_body);
    EXPECT_EQ(response.status, status);
    EXPECT_EQ(response.code(), code);
    EXPECT_EQ(response.error_field(), "lease");
    EXPECT_EQ(response.message(), "what was found and what to do");
    for (const char* verb : {"/renew", "/drain", "/undrain"}) EXPECT_EQ(ask("POST", std::string(server_a) + verb).status, status) << verb;
    EXPECT_EQ(ask("PATCH", server_a, "{}").status, status);
    EXPECT_EQ(ask("DELETE", server_a).status, status);
  }
}

TEST_F(ApiTest, changes_a_server_only_as_it_was_read) {
  const Response same = ask("PUT", server_a, address_body, {.fields = "If-Match: \"5\"\r\n"});
  EXPECT_EQ(same.status, 200);
  EXPECT_EQ(control.calls, Calls{"put app a 10.0.0.5 weight 1 if 5 absent false"});
  const Response changed = ask("PUT", server_a, address_body, {.fields = "If-Match: \"5\"\r\n"});
  EXPECT_EQ(changed.status, 412);
  EXPECT_EQ(changed.code(), "changed_since");
  EXPECT_EQ(ask("PATCH", server_a, "{}", {.fields = "If-Match: \"5\"\r\n"}).status, 412);
  EXPECT_EQ(ask("DELETE", server_a, "", {.fields = "If-Match: \"5\"\r\n"}).status, 412);
  EXPECT_EQ(control.calls.size(), 1U);
  EXPECT_EQ(ask("DELETE", server_a, "", {.fields = "If-Match: \"6\"\r\n"}).status, 204);
}

TEST_F(ApiTest, adds_a_server_only_where_there_is_none) {
  EXPECT_EQ(ask("PUT", server_a, address_body, {.fields = "If-None-Match: *\r\n"}).status, 412);
  EXPECT_EQ(ask("PUT", server_new, address_body, {.fields = "If-Match: *\r\n"}).status, 412);
  EXPECT_EQ(ask("PUT", "/v1/pools/none/servers/a", address_body, {.fields = "If-None-Match: *\r\n"}).status, 404);
  EXPECT_EQ(control.calls, Calls{});
  EXPECT_EQ(ask("PUT", server_new, address_body, {.fields = "If-None-Match: *\r\n"}).status, 201);
  EXPECT_EQ(control.calls, Calls{"put app new 10.0.0.5 weight 1 if 0 absent true"});
}

TEST_F(ApiTest, sends_a_server_only_where_it_has_changed) {
  const Response known = ask("GET", server_a, "", {.fields = "If-None-Match: \"5\"\r\n"});
  EXPECT_EQ(known.status, 304);
  EXPECT_EQ(known.field("ETag"), "\"5\"");
  EXPECT_EQ(known.body, "");
  EXPECT_EQ(ask("GET", server_a, "", {.fields = "If-None-Match: \"4\"\r\n"}).status, 200);
  EXPECT_EQ(ask("GET", server_a, "", {.fields = "If-None-Match: 5\r\n"}).status, 400);
}

TEST_F(ApiTest, keeps_the_connection_for_the_next_request) {
  Connection& connection = connect();
  connection.stream->feed(request_text("PUT", server_new, address_body, {}) + request_text("GET", "/v1/status", "", {}));
  turn(scheduler);
  const std::string sent = connection.take_sent();
  EXPECT_EQ(read_response(sent).status, 201);
  EXPECT_NE(sent.find("\"shows\":\"status\""), std::string::npos);
  EXPECT_EQ(sent.find("Connection: close"), std::string::npos);
  EXPECT_TRUE(connection.session);
}

TEST_F(ApiTest, reads_a_body_that_comes_in_pieces) {
  const std::string text = request_text("PUT", server_new, address_body, {});
  for (std::size_t cut = text.size() - std::string_view(address_body).size(); cut < text.size(); ++cut) {
    Connection& connection = connect();
    connection.stream->feed(text.substr(0, cut));
    turn(scheduler);
    EXPECT_EQ(connection.record->sent, "");
    connection.stream->feed(text.substr(cut));
    turn(scheduler);
    EXPECT_EQ(read_response(connection.record->sent).status, cut == text.size() - std::string_view(address_body).size() ? 201 : 200);
  }
}

TEST_F(ApiTest, reads_a_chunked_body) {
  const Response response = exchange(fmt::format(
      "PUT {} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n1c\r\n{}\r\n0\r\n\r\n",
      server_new, address_body));
  EXPECT_EQ(response.status, 201);
}

TEST_F(ApiTest, tells_who_waits_for_it_to_send_the_body) {
  Connection& connection = connect();
  const std::string text = request_text("PUT", server_new, address_body, {.fields = "Expect: 100-continue\r\n"});
  const std::size_t head_bytes = text.find("\r\n\r\n") + 4;
  connection.stream->feed(text.substr(0, head_bytes));
  turn(scheduler);
  EXPECT_EQ(connection.take_sent(), "HTTP/1.1 100 Continue\r\n\r\n");
  connection.stream->feed(text.substr(head_bytes));
  turn(scheduler);
  EXPECT_EQ(read_response(connection.take_sent()).status, 201);
}

TEST_F(ApiTest, waits_for_a_client_that_reads_slowly) {
  Connection& connection = connect();
  connection.stream->room = 10;
  connection.stream->feed(request_text("GET", "/v1/openapi.json", "", {}));
  turn(scheduler);
  EXPECT_EQ(connection.record->sent.size(), 10U);
  connection.stream->make_room(1 << 20);
  turn(scheduler);
  const Response response = read_response(connection.record->sent);
  EXPECT_EQ(response.field("Content-Length"), std::to_string(response.body.size()));
}

TEST_F(ApiTest, gives_up_a_client_that_does_not_read) {
  Connection& connection = connect();
  connection.stream->room = 10;
  connection.stream->feed(request_text("GET", "/v1/openapi.json", "", {}));
  turn(scheduler);
  EXPECT_TRUE(connection.session);
  turn(scheduler, at_ms(11'000));
  EXPECT_FALSE(connection.session);
}

TEST_F(ApiTest, answers_408_to_a_body_that_stalls) {
  Connection& connection = connect();
  connection.stream->feed(request_text("PUT", server_new, address_body, {}).substr(0, 130));
  turn(scheduler);
  turn(scheduler, at_ms(11'000));
  EXPECT_EQ(read_response(connection.record->sent).status, 408);
  EXPECT_EQ(control.calls, Calls{});
}

TEST_F(ApiTest, does_nothing_for_a_client_that_leaves_before_its_body_is_complete) {
  Connection& connection = connect();
  connection.stream->feed(request_text("PUT", server_new, address_body, {}).substr(0, 130));
  turn(scheduler);
  connection.stream->end();
  turn(scheduler);
  EXPECT_FALSE(connection.session);
  EXPECT_EQ(control.calls, Calls{});
}

TEST_F(ApiTest, sends_an_answer_that_is_larger_than_its_memory) {
  control.configured = std::string(300'000, 'x');
  const Response response = ask("GET", "/v1/configuration");
  EXPECT_EQ(response.body, control.configured);
  EXPECT_EQ(response.field("Content-Length"), "300000");
}

TEST_F(ApiTest, answers_500_where_something_throws) {
  control.throws = true;
  const Response response = ask("GET", "/v1/status");
  EXPECT_EQ(response.status, 500);
  EXPECT_EQ(response.code(), "failed");
}

TEST_F(ApiTest, answers_what_is_no_http_as_json) {
  const Response response = exchange("GET /v1/status\r\n\r\n");
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(response.code(), "malformed_request");
  EXPECT_EQ(response.field("Connection"), "close");
}

}  // namespace api_test
}  // namespace steelyard::admin
