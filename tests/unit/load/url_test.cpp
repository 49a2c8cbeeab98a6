#include "load/url.hpp"

#include <gtest/gtest.h>

namespace steelyard::load {
namespace url_test {

TEST(Url, is_read_in_full) {
  const auto url = parse_url("http://example.com:8080/a/b?c=d#e");
  ASSERT_TRUE(url);
  EXPECT_EQ(url->host, "example.com");
  EXPECT_EQ(url->port, 8080);
  EXPECT_EQ(url->authority, "example.com:8080");
  EXPECT_EQ(url->target, "/a/b?c=d");
}

TEST(Url, what_is_left_out_has_its_usual_value) {
  const auto url = parse_url("example.com");
  ASSERT_TRUE(url);
  EXPECT_EQ(url->port, 80);
  EXPECT_EQ(url->target, "/");
  EXPECT_EQ(parse_url("http://example.com?a")->target, "/?a");
  EXPECT_EQ(parse_url("http://example.com:/")->port, 80);
}

TEST(Url, an_ipv6_address_loses_its_brackets_but_not_in_the_host_field) {
  const auto url = parse_url("http://[::1]:99/");
  ASSERT_TRUE(url);
  EXPECT_EQ(url->host, "::1");
  EXPECT_EQ(url->port, 99);
  EXPECT_EQ(url->authority, "[::1]:99");
  EXPECT_EQ(parse_url("[::1]")->host, "::1");
}

TEST(Url, another_url_in_its_query_is_none_of_its_own) {
  EXPECT_EQ(parse_url("example.com/a?to=https://other/")->target, "/a?to=https://other/");
}

TEST(Url, is_refused_with_what_to_write_instead) {
  EXPECT_NE(parse_url("https://example.com/").error().find("plain http"), std::string::npos);
  EXPECT_NE(parse_url("HTTPS://example.com/").error().find("plain http"), std::string::npos);
  EXPECT_NE(parse_url("ftp://example.com/").error().find("http://127.0.0.1:8080/path"), std::string::npos);
  EXPECT_NE(parse_url("http://example.com/a b").error().find("%20"), std::string::npos);
  EXPECT_NE(parse_url("http://example.com:0/").error().find("65535"), std::string::npos);
  for (const char* const text :
       {"", "http://", "http:///a", "http://a:99999/", "http://a:x/", "http://u:p@a/", "http://a_b c/", "http://[::1/"}) {
    EXPECT_FALSE(parse_url(text)) << text;
  }
}

}  // namespace url_test
}  // namespace steelyard::load
