#include "decide/route/check.hpp"

#include <gtest/gtest.h>

#include <string>

namespace steelyard {
namespace check_test {

using namespace std::string_literals;

TEST(MatchProblem, sound_matches_have_none) {
  for (const char* host : {"", "localhost", "api.example.com", "API.example.com.", "a_b.example.com", "*.example.com", "*.com:8080",
                           "a.com:1", "10.0.0.1", "10.0.0.1:65535", "[::1]", "[2001:DB8::1]:80", "xn--caf-dma.example"}) {
    EXPECT_EQ(match_problem({.host = host}), std::nullopt) << host;
  }
  for (const char* path :
       {"", "/", "/*", "/a", "/a/", "/v1/*", "/users/*/posts", "/*/a/*", "/.well-known/x", "/a%20b", "/a:b@c;d=e", "/...", "/a//b"}) {
    EXPECT_EQ(match_problem({.path = path}), std::nullopt) << path;
  }
  EXPECT_EQ(match_problem({.methods = {"GET", "PROPFIND", "purge"}, .headers = {{"X-A", ""}, {"X-B", "a b, c"}}}), std::nullopt);
}

TEST(MatchProblem, names_bad_hosts) {
  const std::string label(64, 'a');
  std::string overlong = "a";
  while (overlong.size() < 254) overlong += ".a";
  for (const std::string& host : {"*"s,
                                  "*:80"s,
                                  ":80"s,
                                  "."s,
                                  "*."s,
                                  "a..b"s,
                                  ".a"s,
                                  "a*.com"s,
                                  "*a.com"s,
                                  "a.*.com"s,
                                  "*.*.com"s,
                                  "**.com"s,
                                  "*com"s,
                                  "http://a.com"s,
                                  "a.com/"s,
                                  "a.com:"s,
                                  "a.com:0"s,
                                  "a.com:65536"s,
                                  "a.com:http"s,
                                  "a.com:*"s,
                                  "a b.com"s,
                                  "caf\xc3\xa9.fr"s,
                                  "::1"s,
                                  "[::1"s,
                                  "::1]"s,
                                  "[]"s,
                                  "[0:0::1]"s,
                                  "[127.0.0.1]"s,
                                  "[fe80::1%eth0]"s,
                                  "[::ffff:1.2.3.4]"s,
                                  "a@b.com"s,
                                  label + ".com",
                                  overlong}) {
    EXPECT_NE(match_problem({.host = host}), std::nullopt) << host;
  }
}

TEST(MatchProblem, names_bad_paths) {
  std::string deep;
  while (deep.size() <= 2 * match_path_segments_max) deep += "/a";
  for (const std::string& path :
       {"*"s, "a"s, "v1/*"s, "/a*"s, "/*a/b"s, "/v1*"s, "/a/**"s, "/**"s, "/a/./b"s, "/.."s, "/../a"s, "/a?b"s, "/a#b"s, "/a b"s,
        "/caf\xc3\xa9"s, "/a\0"s, "/a\x7f"s, "/" + std::string(match_path_bytes_max, 'a'), deep}) {
    EXPECT_NE(match_problem({.path = path}), std::nullopt) << path;
  }
}

TEST(MatchProblem, names_bad_conditions) {
  for (const char* method : {"", "get", "Post", "GET POST", "GET,POST", "*/*"})
    EXPECT_NE(match_problem({.methods = {"GET", method}}), std::nullopt) << method;
  for (const HeaderMatch& header :
       {HeaderMatch{"", "1"}, {"a b", "1"}, {"a:", "1"}, {"a", " 1"}, {"a", "1\t"}, {"a", "1\r\n2"}, {"a", "\x7f"}}) {
    EXPECT_NE(match_problem({.headers = {header}}), std::nullopt) << header.name << "=" << header.value;
  }
}

TEST(MatchProblem, says_what_is_right) {
  EXPECT_EQ(match_problem({.path = "/v1*"}), "path '/v1*': '*' stands for a whole segment, 'v1*' cannot be matched");
  EXPECT_EQ(match_problem({.host = "[0:0::1]"}), "host '[0:0::1]': write the address as '[::1]'");
  EXPECT_EQ(match_problem({.methods = {"get"}}), "methods are case-sensitive: write 'GET', not 'get'");
}

TEST(Duplicates, are_found_in_any_spelling) {
  const std::vector<MatchOptions> matches{
      {.host = "a.com", .path = "/x", .methods = {"GET", "PUT"}, .headers = {{"A", "1"}, {"B", ""}}},
      {.host = "a.com", .path = "/x"},
      {.host = "A.com.", .path = "/x", .methods = {"PUT", "GET", "GET"}, .headers = {{"b", ""}, {"a", "1"}}},
      {.host = "a.com:80", .path = "/x"},
      {.host = "*.a.com", .path = "/x"},
      {.host = "a.com", .path = "/x/*"},
      {.host = "a.com", .path = "/x"},
      {.host = "a.com", .path = "/x", .headers = {{"A", "2"}}},
      {.host = "a.com", .path = "/x"},
  };
  const auto found = duplicates(matches);
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(found[0].first, 0U);
  EXPECT_EQ(found[0].second, 2U);
  EXPECT_EQ(found[1].first, 1U);
  EXPECT_EQ(found[1].second, 6U);
  EXPECT_EQ(found[2].first, 1U);
  EXPECT_EQ(found[2].second, 8U);
}

TEST(Duplicates, any_host_and_any_path_are_matches_like_others) {
  EXPECT_EQ(duplicates(std::vector<MatchOptions>{{}, {.path = "/*"}, {.host = "a"}}).size(), 0U);
  EXPECT_EQ(duplicates(std::vector<MatchOptions>{{}, {}}).size(), 1U);
}

}  // namespace check_test
}  // namespace steelyard
