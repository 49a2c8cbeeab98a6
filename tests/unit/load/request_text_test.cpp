#include "load/request_text.hpp"

#include <gtest/gtest.h>

#include "wire/http1/parse.hpp"

namespace steelyard::load {
namespace request_text_test {

TEST(RequestText, is_a_request_that_a_strict_reader_takes) {
  const RequestText text({.authority = "example.com:8080", .target = "/a?b", .fields = {"X-Mine: 1"}});
  http::RequestHead head;
  http1::ScanState scan;
  ASSERT_EQ(http1::parse_request(text.usual(), scan, {}, head), text.usual().size());
  EXPECT_EQ(head.method, http::Method::get);
  EXPECT_EQ(head.target, "/a?b");
  EXPECT_EQ(head.authority, "example.com:8080");
  EXPECT_TRUE(head.keep_alive);
  EXPECT_FALSE(head.has_content_length);
  EXPECT_NE(text.usual().find("\r\nX-Mine: 1\r\n"), std::string_view::npos);
}

TEST(RequestText, a_body_has_its_length) {
  const RequestText text({.method = "PUT", .authority = "a", .body = "hello"});
  EXPECT_TRUE(text.usual().starts_with("PUT / HTTP/1.1\r\n"));
  EXPECT_TRUE(text.usual().ends_with("\r\nContent-Length: 5\r\n\r\nhello"));
}

TEST(RequestText, an_empty_body_is_said_where_one_is_expected) {
  EXPECT_NE(RequestText({.method = "POST", .authority = "a"}).usual().find("Content-Length: 0\r\n"), std::string_view::npos);
  EXPECT_EQ(RequestText({.method = "DELETE", .authority = "a"}).usual().find("Content-Length"), std::string_view::npos);
}

TEST(RequestText, without_keep_alive_it_asks_for_the_end_of_the_connection) {
  EXPECT_NE(RequestText({.authority = "a", .keep_alive = KeepAlive::off}).usual().find("\r\nConnection: close\r\n"),
            std::string_view::npos);
}

TEST(RequestText, a_field_that_is_given_takes_the_place_of_the_usual_one) {
  const RequestText text({.authority = "a", .fields = {"host: other", "USER-AGENT: mine"}});
  EXPECT_EQ(text.usual(), "GET / HTTP/1.1\r\nAccept: */*\r\nhost: other\r\nUSER-AGENT: mine\r\n\r\n");
}

TEST(RequestText, another_target_changes_nothing_else) {
  const RequestText text({.authority = "a", .target = "/x"});
  std::string other = "something before";
  text.write("/longer/than/x", other);
  std::string expected(text.usual());
  expected.replace(4, 2, "/longer/than/x");
  EXPECT_EQ(other, expected);
}

}  // namespace request_text_test
}  // namespace steelyard::load
