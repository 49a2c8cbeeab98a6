#include "decide/route/router.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace steelyard {
namespace router_test {

using Found = std::optional<std::size_t>;
constexpr std::uint64_t seed = 42;

Found match(const std::vector<MatchOptions>& matches, std::string_view host, std::string_view path, std::string_view method = "GET",
            std::vector<http::Field> fields = {}) {
  return Router(matches, seed).match({.host = host, .path = path, .method = method, .fields = fields});
}

TEST(Router, without_routes_nothing_matches) { EXPECT_EQ(match({}, "example.com", "/"), std::nullopt); }

TEST(Router, empty_match_takes_everything) {
  for (const char* host : {"example.com", "", "[::1]:80", "example.com:99999", "....", ":", "[", "]:1"}) {
    for (const char* path : {"/", "/a/b", "*", ""}) EXPECT_EQ(match({{}}, host, path), 0U) << host << path;
  }
}

TEST(Router, host_ignores_case_and_final_dot) {
  const std::vector<MatchOptions> matches{{.host = "API.Example.com."}};
  for (const char* host : {"api.example.com", "Api.EXAMPLE.com", "api.example.com.", "api.example.com:8080", "api.example.com.:8080"}) {
    EXPECT_EQ(match(matches, host, "/"), 0U) << host;
  }
  for (const char* host :
       {"example.com", "xapi.example.com", "api.example.co", "api.example.com..", "", "api.example.com:99999", "api.example.com:x"}) {
    EXPECT_EQ(match(matches, host, "/"), std::nullopt) << host;
  }
}

TEST(Router, wildcard_host_takes_one_or_more_labels) {
  const std::vector<MatchOptions> matches{{.host = "*.example.com"}};
  EXPECT_EQ(match(matches, "a.example.com", "/"), 0U);
  EXPECT_EQ(match(matches, "a.b.c.Example.com.:80", "/"), 0U);
  for (const char* host : {"example.com", ".example.com", "xexample.com", "a.example.com.evil", "a.example.org"}) {
    EXPECT_EQ(match(matches, host, "/"), std::nullopt) << host;
  }
}

TEST(Router, host_precedence_is_exact_then_longer_suffix_then_any) {
  const std::vector<MatchOptions> matches{{}, {.host = "*.com"}, {.host = "*.example.com"}, {.host = "a.example.com"}};
  EXPECT_EQ(match(matches, "a.example.com", "/"), 3U);
  EXPECT_EQ(match(matches, "b.example.com", "/"), 2U);
  EXPECT_EQ(match(matches, "x.a.example.com", "/"), 2U);
  EXPECT_EQ(match(matches, "example.com", "/"), 1U);
  EXPECT_EQ(match(matches, "com", "/"), 0U);
}

TEST(Router, host_with_port_takes_that_port_only_and_comes_first) {
  const std::vector<MatchOptions> matches{{.host = "a.com"}, {.host = "a.com:8080"}, {.host = "*.a.com:80"}, {.host = "[::1]:8080"}};
  EXPECT_EQ(match(matches, "a.com:8080", "/"), 1U);
  EXPECT_EQ(match(matches, "a.com:8081", "/"), 0U);
  EXPECT_EQ(match(matches, "a.com", "/"), 0U);
  EXPECT_EQ(match(matches, "x.a.com", "/"), 2U);  // 80 is the default port
  EXPECT_EQ(match(matches, "x.a.com:", "/"), 2U);
  EXPECT_EQ(match(matches, "x.a.com:81", "/"), std::nullopt);
  EXPECT_EQ(match(matches, "[::1]:8080", "/"), 3U);
  EXPECT_EQ(match(matches, "[::1]", "/"), std::nullopt);
  EXPECT_EQ(Router(matches, seed).match({.host = "x.a.com", .path = "/", .method = "GET", .default_port = 443}), std::nullopt);
}

TEST(Router, overlong_host_matches_only_any) {
  const std::string label(63, 'a');
  const std::string host = label + "." + label + "." + label + "." + label;  // 255
  EXPECT_EQ(match({{.host = host}, {}}, host, "/"), 0U);
  EXPECT_EQ(match({{.host = "x" + host}, {}}, "x" + host, "/"), 1U);
  EXPECT_EQ(match({{.host = "*." + label}, {}}, host + ".b." + label, "/"), 1U);
}

TEST(Router, host_of_the_most_labels_is_looked_through) {
  std::string host = "a";
  while (host.size() < route::host_bytes_max) host += ".a";
  EXPECT_EQ(match({{.host = "*.a.a.a"}}, host, "/"), 0U);
}

TEST(Router, prefix_ends_at_a_segment) {
  const std::vector<MatchOptions> matches{{.path = "/v1/*"}};
  for (const char* path : {"/v1", "/v1/", "/v1/a", "/v1/a/b/", "/v1//"}) EXPECT_EQ(match(matches, "h", path), 0U) << path;
  for (const char* path : {"/", "/v", "/v10", "/v10/a", "/a/v1", "//v1", "v1", "", "*", "/V1"})
    EXPECT_EQ(match(matches, "h", path), std::nullopt) << path;
}

TEST(Router, slash_star_takes_every_path_and_precedes_any) {
  const std::vector<MatchOptions> matches{{}, {.path = "/*"}};
  for (const char* path : {"/", "/a", "//"}) EXPECT_EQ(match(matches, "h", path), 1U) << path;
  for (const char* path : {"*", ""}) EXPECT_EQ(match(matches, "h", path), 0U) << path;
}

TEST(Router, exact_path_is_exact) {
  const std::vector<MatchOptions> matches{{.path = "/a"}, {.path = "/"}, {.path = "/a/"}};
  EXPECT_EQ(match(matches, "h", "/a"), 0U);
  EXPECT_EQ(match(matches, "h", "/"), 1U);
  EXPECT_EQ(match(matches, "h", "/a/"), 2U);
  EXPECT_EQ(match(matches, "h", "/a/b"), std::nullopt);
}

TEST(Router, star_takes_exactly_one_segment_that_is_not_empty) {
  const std::vector<MatchOptions> matches{{.path = "/users/*/posts"}, {.path = "/*/x/*/y/*"}};
  EXPECT_EQ(match(matches, "h", "/users/5/posts"), 0U);
  for (const char* path : {"/users/posts", "/users//posts", "/users/5/6/posts", "/users/5/posts/", "/users/5"}) {
    EXPECT_EQ(match(matches, "h", path), std::nullopt) << path;
  }
  EXPECT_EQ(match(matches, "h", "/a/x/b/y"), 1U);
  EXPECT_EQ(match(matches, "h", "/a/x/b/y/c/d"), 1U);
  EXPECT_EQ(match(matches, "h", "/a/x/b/z"), std::nullopt);
}

TEST(Router, path_precedence_is_exact_then_more_segments_then_leftmost_literal) {
  const std::vector<MatchOptions> matches{{.path = "/*"},         {.path = "/users/*"},         {.path = "/users/*/posts"},
                                          {.path = "/users/5/*"}, {.path = "/users/5/posts/*"}, {.path = "/users/5/posts"},
                                          {.path = "/*/5/posts"}, {.path = "/users/*/posts/*"}};
  EXPECT_EQ(match(matches, "h", "/users/5/posts"), 5U);
  EXPECT_EQ(match(matches, "h", "/users/5/posts/1"), 4U);
  EXPECT_EQ(match(matches, "h", "/users/5/likes"), 3U);
  EXPECT_EQ(match(matches, "h", "/users/6/posts"), 2U);
  EXPECT_EQ(match(matches, "h", "/users/6/posts/1"), 7U);
  EXPECT_EQ(match(matches, "h", "/users/6/likes"), 1U);
  EXPECT_EQ(match(matches, "h", "/groups/5/posts"), 6U);
  EXPECT_EQ(match(matches, "h", "/groups"), 0U);
  const std::vector<MatchOptions> without_exact{{.path = "/users/5/*"}, {.path = "/users/*/posts"}};
  EXPECT_EQ(match(without_exact, "h", "/users/5/posts"), 1U);
}

TEST(Router, method_decides_and_is_case_sensitive) {
  const std::vector<MatchOptions> matches{{.path = "/a"}, {.path = "/a", .methods = {"POST", "PUT"}}};
  EXPECT_EQ(match(matches, "h", "/a", "PUT"), 1U);
  EXPECT_EQ(match(matches, "h", "/a", "GET"), 0U);
  EXPECT_EQ(match(matches, "h", "/a", "put"), 0U);
}

TEST(Router, headers_must_all_be_there) {
  const std::vector<MatchOptions> matches{{.headers = {{"X-Version", "2"}, {"X-Beta", ""}}}};
  EXPECT_EQ(match(matches, "h", "/", "GET", {{"x-beta", ""}, {"x-VERSION", "2"}}), 0U);
  EXPECT_EQ(match(matches, "h", "/", "GET", {{"x-beta", "on"}, {"x-version", "1"}, {"x-version", "2"}}), 0U);
  EXPECT_EQ(match(matches, "h", "/", "GET", {{"x-version", "2"}}), std::nullopt);
  EXPECT_EQ(match(matches, "h", "/", "GET", {{"x-beta", ""}, {"x-version", "20"}}), std::nullopt);
  EXPECT_EQ(match({{.headers = {{"a", "Value"}}}}, "h", "/", "GET", {{"a", "value"}}), std::nullopt);
}

TEST(Router, condition_precedence_is_headers_then_methods_then_order) {
  const std::vector<MatchOptions> matches{{},
                                          {},
                                          {.methods = {"GET"}},
                                          {.headers = {{"a", ""}}},
                                          {.methods = {"GET"}, .headers = {{"a", ""}}},
                                          {.headers = {{"a", ""}, {"b", ""}}}};
  EXPECT_EQ(match(matches, "h", "/", "GET", {{"a", "1"}, {"b", "1"}}), 5U);
  EXPECT_EQ(match(matches, "h", "/", "GET", {{"a", "1"}}), 4U);
  EXPECT_EQ(match(matches, "h", "/", "PUT", {{"a", "1"}}), 3U);
  EXPECT_EQ(match(matches, "h", "/", "GET"), 2U);
  EXPECT_EQ(match(matches, "h", "/", "PUT"), 0U);
}

TEST(Router, falls_back_to_less_specific_path_and_host) {
  const std::vector<MatchOptions> matches{{.host = "a.example.com", .path = "/v1/x", .methods = {"POST"}},
                                          {.host = "a.example.com", .path = "/v1/*", .methods = {"PUT"}},
                                          {.host = "*.example.com", .path = "/v1/*", .methods = {"GET"}},
                                          {.path = "/v1/x"}};
  EXPECT_EQ(match(matches, "a.example.com", "/v1/x", "POST"), 0U);
  EXPECT_EQ(match(matches, "a.example.com", "/v1/x", "PUT"), 1U);
  EXPECT_EQ(match(matches, "a.example.com", "/v1/x", "GET"), 2U);
  EXPECT_EQ(match(matches, "a.example.com", "/v1/x", "DELETE"), 3U);
  EXPECT_EQ(match(matches, "a.example.com", "/v2", "DELETE"), std::nullopt);
}

TEST(Router, stays_valid_when_moved) {
  Router router(std::vector<MatchOptions>{{.host = "a.com", .path = "/b"}}, seed);
  const Router moved = std::move(router);
  EXPECT_EQ(moved.match({.host = "a.com", .path = "/b", .method = "GET"}), 0U);
}

}  // namespace router_test
}  // namespace steelyard
