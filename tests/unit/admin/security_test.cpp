// What must not get through: requests that a web page had sent, tokens that are wrong or of another pool, bodies and paths that are
// made to harm.
#include <tuple>

#include "fixture.hpp"

namespace steelyard::admin {
namespace security_test {

using Calls = std::vector<std::string>;

TEST_F(ApiTest, refuses_a_name_that_a_page_has_pointed_here) {
  for (const char* host :
       {"evil.example", "evil.example:9900", "localhost.evil.example", "127.0.0.1.evil.example", "127.1", "0x7f000001"}) {
    const Response response = ask("PUT", server_new, address_body, {.host = host});
    EXPECT_EQ(response.status, 421) << host;
    EXPECT_EQ(response.code(), "wrong_host");
  }
  EXPECT_EQ(exchange("GET http://evil.example/v1/status HTTP/1.1\r\nHost: evil.example\r\n\r\n").status, 421);
  EXPECT_EQ(exchange("GET /v1/status HTTP/1.0\r\n\r\n").status, 421);
  EXPECT_EQ(control.calls, Calls{});
}

TEST_F(ApiTest, answers_by_its_addresses_and_names) {
  for (const char* host : {"127.0.0.1", "localhost:9900", "LOCALHOST", "localhost.", "[::1]:9900", "192.168.0.1:9900"}) {
    EXPECT_EQ(ask("GET", "/v1/status", "", {.host = host}).status, 200) << host;
  }
  EXPECT_EQ(ask("GET", "/v1/status", "", {.host = "proxy.internal:9900"}).status, 421);
  api.set_access(Access(Reach::loopback, {"Proxy.Internal"}, {}));
  EXPECT_EQ(ask("GET", "/v1/status", "", {.host = "proxy.internal:9900"}).status, 200);
}

TEST_F(ApiTest, takes_any_name_on_a_unix_socket) {
  api.set_access(Access(Reach::unix_socket, {}, {}));
  EXPECT_EQ(ask("GET", "/v1/status", "", {.host = "steelyard"}).status, 200);
}

TEST_F(ApiTest, refuses_what_another_site_sent) {
  for (const char* field :
       {"Origin: http://evil.example", "Origin: null", "Origin: https://127.0.0.1:9900", "Origin: http://127.0.0.1:8080",
        "Origin: ", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site", "Sec-Fetch-Site: unheard-of"}) {
    const std::string fields = fmt::format("{}\r\n", field);
    EXPECT_EQ(ask("GET", "/v1/status", "", {.fields = fields}).status, 403) << field;
    EXPECT_EQ(ask("PUT", server_new, address_body, {.fields = fields}).code(), "foreign_origin") << field;
    EXPECT_EQ(ask("OPTIONS", server_new, "", {.fields = fields}).status, 403) << field;
  }
  EXPECT_EQ(control.calls, Calls{});
}

TEST_F(ApiTest, answers_its_own_pages_and_people) {
  for (const char* field : {"Origin: http://127.0.0.1:9900", "Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: none"}) {
    EXPECT_EQ(ask("GET", "/v1/status", "", {.fields = fmt::format("{}\r\n", field)}).status, 200) << field;
  }
}

TEST_F(ApiTest, grants_nothing_to_other_origins) {
  const Response response = ask("GET", "/v1/status", "", {.fields = "Origin: http://127.0.0.1:9900\r\n"});
  EXPECT_EQ(response.head.find("Access-Control"), std::string::npos);
}

TEST_F(ApiTest, refuses_fields_that_are_there_twice) {
  for (const char* field : {"Origin: http://127.0.0.1:9900", "Authorization: Bearer x", "Sec-Fetch-Site: none", "If-Match: \"5\""}) {
    EXPECT_EQ(ask("GET", "/v1/status", "", {.fields = fmt::format("{}\r\n{}\r\n", field, field)}).status, 400) << field;
  }
}

TEST_F(ApiTest, wants_the_token_for_everything_where_there_is_one) {
  use_tokens();
  for (const Endpoint& endpoint : endpoints()) {
    std::string path(endpoint.path);
    if (endpoint.has("{pool}")) path.replace(path.find("{pool}"), 6, "app");
    if (endpoint.has("{id}")) path.replace(path.find("{id}"), 4, "a");
    for (const char* token : {"", "wrong", "the operator's toke", "the operator's tokens"}) {
      const Response response = ask(spelling(endpoint.method), path, "", {.token = token});
      EXPECT_EQ(response.status, 401) << path;
      EXPECT_EQ(response.field("WWW-Authenticate"), "Bearer");
    }
  }
  EXPECT_EQ(ask("GET", "/nowhere").status, 401);
  EXPECT_EQ(control.calls, Calls{});
  EXPECT_EQ(ask("GET", "/v1/status", "", {.token = operator_token}).status, 200);
  EXPECT_EQ(ask("PUT", server_new, address_body, {.token = operator_token}).status, 201);
}

TEST_F(ApiTest, takes_the_word_bearer_in_any_letters_and_no_other) {
  use_tokens();
  const auto with = [&](std::string_view value) {
    return ask("GET", "/v1/status", "", {.fields = fmt::format("Authorization: {}\r\n", value)}).status;
  };
  EXPECT_EQ(with("bearer the operator's token"), 200);
  EXPECT_EQ(with("BEARER   the operator's token"), 200);
  EXPECT_EQ(with("Basic the operator's token"), 401);
  EXPECT_EQ(with("the operator's token"), 401);
  EXPECT_EQ(with("Bearer"), 401);
}

TEST_F(ApiTest, lets_a_registrar_register_renew_and_leave_in_its_pool) {
  use_tokens();
  const Asking asking{.token = app_token};
  EXPECT_EQ(ask("PUT", server_new, address_body, asking).status, 201);
  EXPECT_EQ(ask("PUT", server_new, R"({"address": "10.0.0.5:8001", "lease": "5s", "load": 2})", asking).status, 200);
  EXPECT_EQ(ask("POST", std::string(server_new) + "/renew", R"({"load": 1})", asking).status, 200);
  EXPECT_EQ(ask("DELETE", server_new, "", asking).status, 204);
  EXPECT_EQ(control.calls, (Calls{"announce app new 10.0.0.5 lease -1 owner registration load 0",
                                  "announce app new 10.0.0.5 lease 5 owner registration load 2", "renew app new owner registration load 1",
                                  "leave app new owner registration"}));
}

TEST_F(ApiTest, lets_a_registrar_do_nothing_else) {
  use_tokens();
  for (const Endpoint& endpoint : endpoints()) {
    std::string path(endpoint.path);
    if (endpoint.has("{pool}")) path.replace(path.find("{pool}"), 6, "app");
    if (endpoint.has("{id}")) path.replace(path.find("{id}"), 4, "a");
    const auto status_for = [&](const char* token) {
      return ask(spelling(endpoint.method), path, endpoint.input == Input::server ? address_body : "", {.token = token}).status;
    };
    EXPECT_EQ(status_for(other_token), 403) << path;
    if (endpoint.who == Who::operator_alone) {
      EXPECT_EQ(status_for(app_token), 403) << path;
    }
  }
  EXPECT_EQ(control.calls, Calls{});
  EXPECT_EQ(ask("DELETE", std::string(server_a) + "?deadline=1h", "", {.token = app_token}).status, 403);
  EXPECT_EQ(control.calls, Calls{});
}

TEST_F(ApiTest, knows_a_registrar_also_where_the_operator_needs_no_token) {
  api.set_access(Access(Reach::loopback, {}, {{"app", digest_of(app_token)}}));
  EXPECT_EQ(ask("GET", "/v1/status").status, 200);
  EXPECT_EQ(ask("GET", "/v1/status", "", {.token = app_token}).status, 403);
  EXPECT_EQ(ask("GET", "/v1/status", "", {.token = "wrong"}).status, 401);
}

TEST_F(ApiTest, lets_nobody_in_from_elsewhere_without_a_token) {
  api.set_access(Access(Reach::network, {}, {}));
  EXPECT_EQ(ask("GET", "/v1/status").status, 401);
}

TEST_F(ApiTest, forgets_tokens_that_a_reload_has_replaced) {
  use_tokens();
  api.set_access(Access(Reach::loopback, {}, {{"", digest_of("the next token")}}));
  EXPECT_EQ(ask("GET", "/v1/status", "", {.token = operator_token}).status, 401);
  EXPECT_EQ(ask("GET", "/v1/status", "", {.token = "the next token"}).status, 200);
}

TEST_F(ApiTest, refuses_bodies_that_a_form_could_send) {
  for (const char* type : {"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
                           "text/plain; application/json", "application/jsonp", "", "application/yaml"}) {
    const Response response = ask("PUT", server_new, address_body, {.fields = fmt::format("Content-Type: {}\r\n", type)});
    EXPECT_EQ(response.status, 415) << type;
  }
  EXPECT_EQ(ask("POST", "/v1/reload", "x=1", {.fields = "Content-Type: text/plain\r\n"}).status, 415);
  EXPECT_EQ(ask("POST", "/v1/check", "pools: {}", {.fields = "Content-Type: text/plain\r\n"}).status, 415);
  EXPECT_EQ(exchange(fmt::format("PUT {} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{{}}", server_new)).status, 415);
  EXPECT_EQ(control.calls, Calls{});
  EXPECT_EQ(ask("PUT", server_new, address_body, {.fields = "Content-Type: Application/JSON; charset=utf-8\r\n"}).status, 201);
}

TEST_F(ApiTest, refuses_a_body_that_is_too_large_before_and_while_it_comes) {
  const Response announced =
      exchange(fmt::format("PUT {} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", server_new,
                           body_bytes_max + 1));
  EXPECT_EQ(announced.status, 413);
  EXPECT_EQ(announced.field("Connection"), "close");
  std::string chunked =
      fmt::format("PUT {} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n", server_new);
  for (int i = 0; i < 17; ++i) chunked += fmt::format("10000\r\n{}\r\n", std::string(0x10000, ' '));
  EXPECT_EQ(exchange(chunked).status, 413);
  EXPECT_EQ(control.calls, Calls{});
  EXPECT_EQ(metrics.limits[static_cast<std::size_t>(Limit::body_bytes)].value(), 2U);
  const std::string just = address_body + std::string(body_bytes_max - std::string_view(address_body).size(), ' ');
  EXPECT_EQ(ask("PUT", server_new, just).status, 201);
}

TEST_F(ApiTest, says_where_a_body_is_no_json) {
  const Response response = ask("PUT", server_new, "{\n  \"address\" \"a:1\"}");
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(response.code(), "malformed_json");
  EXPECT_NE(response.message().find("line 2, column 17"), std::string::npos) << response.message();
  for (const char* body :
       {"{", "[", "\"", "{\"a\":}", "nul", "{} {}", "{\"a\": 1,}", "{'a': 1}", "{\"a\": 01}", "{\"a\": \"\xff\"}", "\xef\xbb"}) {
    EXPECT_EQ(ask("PUT", server_new, body).status, 400) << body;
  }
  EXPECT_EQ(ask("PUT", server_new).code(), "body_missing");
  EXPECT_EQ(control.calls, Calls{});
}

TEST_F(ApiTest, names_the_field_that_is_wrong_and_the_nearest_that_is_known) {
  const std::vector<std::tuple<const char*, const char*, const char*>> cases{
      {R"({"address": "a:1", "weigth": 1})", "weigth", "did you mean \"weight\"?"},
      {R"({"address": "a:1", "weight": "1"})", "weight", "leave out the quotes"},
      {R"({"address": "a:1", "weight": 1.5})", "weight", "a whole number from 0 to 1000"},
      {R"({"address": "a:1", "weight": -1})", "weight", "a whole number from 0 to 1000"},
      {R"({"address": "a:1", "weight": 99999999999999999999999})", "weight", "a whole number from 0 to 1000"},
      {R"({"address": "a:1", "weight": 1e3})", "weight", "a whole number from 0 to 1000"},
      {R"({"address": "a:1", "weight": null})", "weight", "found nothing"},
      {R"({"address": "a:1", "backup": 1})", "backup", "true or false"},
      {R"({"address": "a:1", "labels": []})", "labels", "a map of names to texts"},
      {R"({"address": "a:1", "labels": {"<b>": "x"}})", "labels.<b>", "which has the character"},
      {R"({"address": "a:1", "labels": {"zone": "x\u0000y"}})", "labels.zone", "not printable"},
      {R"({"address": "a:1", "lease": "30"})", "lease", "needs a unit"},
      {R"({"address": "http://a:1"})", "address", "is a URL"},
      {R"({"address": ["a:1"]})", "address", "found a list"},
      {R"({"weight": 1})", "", "\"address\" is missing"},
      {R"([])", "", "found a list"},
      {R"("a:1")", "", "an object with the keys of a server"},
  };
  for (const auto& [body, field, words] : cases) {
    const Response response = ask("PUT", server_new, body);
    EXPECT_EQ(response.status, 422) << body;
    EXPECT_EQ(response.code(), "invalid");
    EXPECT_EQ(response.error_field(), field) << body;
    EXPECT_NE(response.message().find(words), std::string::npos) << response.message();
    EXPECT_TRUE(response.message().starts_with(field)) << response.message();
    EXPECT_FALSE(response.json()["error"]["problems"][0].contains("line"));
  }
  EXPECT_EQ(ask("PATCH", server_a, R"({"address": "a:1"})").status, 422);
  EXPECT_EQ(ask("PATCH", server_a, R"({"forced": "dwon"})").error_field(), "forced");
  EXPECT_EQ(ask("POST", "/v1/reload", R"({"force": true})").status, 422);
  EXPECT_EQ(control.calls, Calls{});
}

TEST_F(ApiTest, tells_all_that_is_wrong_with_a_body) {
  const Json problems = ask("PUT", server_new, R"({"weight": -1, "backup": 2})").json()["error"]["problems"];
  ASSERT_EQ(problems.size(), 3U);
  EXPECT_EQ(problems[0]["field"], "weight");
  EXPECT_EQ(problems[1]["field"], "backup");
}

TEST_F(ApiTest, survives_what_is_nested_deeply_or_has_many_values) {
  EXPECT_EQ(ask("PUT", server_new, std::string(100'000, '[')).status, 400);
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += "{\"a\":";
  EXPECT_EQ(ask("PUT", server_new, objects).status, 400);
  EXPECT_EQ(ask("PUT", server_new, std::string(65, '[') + std::string(65, ']')).status, 400);
  EXPECT_EQ(ask("PUT", server_new, std::string(64, '[') + std::string(64, ']')).status, 422);
  std::string many = "[0";
  for (int i = 0; i < 100'000; ++i) many += ",0";
  EXPECT_EQ(ask("PUT", server_new, many + "]").status, 400);
  EXPECT_NE(ask("PUT", server_new, R"({"address": "a:1", "address": "b:1"})").message().find("twice"), std::string::npos);
}

TEST_F(ApiTest, answers_with_json_whatever_was_sent) {
  const Response response = ask("PUT", server_new, R"({"address": "</script><script>\"\\", "<b>\u0007": 1})");
  EXPECT_EQ(response.status, 422);
  EXPECT_FALSE(response.json().is_discarded());
  const Response path = ask("GET", "/v1/pools/%22%3cb%3E%0a");
  EXPECT_EQ(path.status, 400);
  EXPECT_FALSE(path.json().is_discarded());
}

TEST_F(ApiTest, knows_a_path_only_as_it_is_spelled) {
  for (const char* path :
       {"/v1", "/v1/", "/", "/V1/status", "/v1/status/", "/v1//status", "//v1/status", "/v1/./status", "/v1/x/../status", "/v1/%73tatus",
        "/v1%2fstatus", "/v1/pools/", "/v1/pools//servers", "/v1/pools/app/servers/", "/v1/pools/app/servers//renew",
        "/v1/pools/app/../other/servers/a", "/v1/status;x", "/v1/pools/app/servers/a/b/c"}) {
    const Response response = ask("GET", path);
    EXPECT_EQ(response.status, 404) << path;
    EXPECT_EQ(response.code(), "no_such_endpoint");
  }
}

TEST_F(ApiTest, refuses_names_that_are_none) {
  for (const char* name : {"..", ".", "%2e%2e", "%2E", "a%2Fb", "a%2f..%2fb", "%00", "a%0d%0ab", "%zz", "%", "%2", "a%20b", "a%25b",
                           "%3Cb%3E", "a'b", "%C3%A9"}) {
    for (const char* verb : {"PUT", "DELETE", "GET"}) {
      const Response response =
          ask(verb, fmt::format("/v1/pools/app/servers/{}", name), std::string_view(verb) == "PUT" ? address_body : "");
      EXPECT_EQ(response.status, 400) << verb << name;
      EXPECT_EQ(response.error_field(), "id");
    }
    EXPECT_EQ(ask("GET", fmt::format("/v1/pools/{}", name)).error_field(), "pool") << name;
  }
  EXPECT_EQ(ask("PUT", "/v1/pools/app/servers/" + std::string(271, 'x'), address_body).status, 400);
  EXPECT_EQ(control.calls, Calls{});
}

TEST_F(ApiTest, names_the_nearest_path) {
  EXPECT_NE(ask("GET", "/v1/stats").message().find("did you mean \"/v1/status\"?"), std::string::npos);
  EXPECT_NE(ask("GET", "/v1/pools/app/server/a").message().find("did you mean \"/v1/pools/app/servers/a\"?"), std::string::npos);
}

TEST_F(ApiTest, says_which_methods_a_path_has) {
  const std::vector<std::tuple<const char*, const char*, const char*>> cases{
      {"POST", "/v1/status", "GET, HEAD"},
      {"OPTIONS", "/v1/status", "GET, HEAD"},
      {"TRACE", "/v1/status", "GET, HEAD"},
      {"FOO", "/v1/status", "GET, HEAD"},
      {"get", "/v1/status", "GET, HEAD"},
      {"GET", "/v1/reload", "POST"},
      {"HEAD", "/v1/check", "POST"},
      {"OPTIONS", server_a, "GET, HEAD, PUT, PATCH, DELETE"},
      {"POST", server_a, "GET, HEAD, PUT, PATCH, DELETE"},
      {"GET", "/v1/pools/app/servers/a/drain", "POST"},
  };
  for (const auto& [method, path, allowed] : cases) {
    const Response response = ask(method, path);
    EXPECT_EQ(response.status, 405) << method << path;
    EXPECT_EQ(response.field("Allow"), allowed);
  }
  EXPECT_EQ(control.calls, Calls{});
}

TEST_F(ApiTest, ends_the_connection_after_a_get_with_a_body) {
  const Response response = exchange("GET /v1/status HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.field("Connection"), "close");
}

}  // namespace security_test
}  // namespace steelyard::admin
