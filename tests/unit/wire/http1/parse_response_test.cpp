// What a response head may look like, and what it may not.
#include <gtest/gtest.h>

#include "replay.hpp"

namespace steelyard::http1 {
namespace parse_response_test {

TEST(ParseResponse, takes_a_plain_answer) {
  const auto parsed = response("HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\nX-A: caf\xc3\xa9\r\n\r\nabc");
  ASSERT_TRUE(parsed.accepted());
  EXPECT_EQ(*parsed.taken, parsed.bytes.size() - 3);
  EXPECT_EQ(parsed.head->status, 404);
  EXPECT_EQ(parsed.head->reason, "Not Found");
  EXPECT_EQ(parsed.head->version_minor, 1);
  EXPECT_EQ(field_of(parsed, "X-A")->value, "caf\xc3\xa9");
}

TEST(ParseResponse, takes_a_status_line_without_reason) {
  for (const std::string_view line : {"HTTP/1.1 200", "HTTP/1.1 200 "}) {
    const auto parsed = response(std::string(line) + "\r\n\r\n");
    ASSERT_TRUE(parsed.accepted()) << line;
    EXPECT_EQ(parsed.head->reason, "");
  }
}

TEST(ParseResponse, reads_versions) {
  EXPECT_EQ(response("HTTP/1.0 200 OK\r\n\r\n").head->version_minor, 0);
  EXPECT_EQ(response("HTTP/1.9 200 OK\r\n\r\n").head->version_minor, 1);
}

TEST(ParseResponse, refuses_malformed_status_lines) {
  for (const std::string_view line : {"HTTP/1.1 20 OK",
                                      "HTTP/1.1 2000 OK",
                                      "HTTP/1.1  200 OK",
                                      " HTTP/1.1 200 OK",
                                      "200 OK",
                                      "HTTP/2.0 200 OK",
                                      "HTTP/1.1 0xC8 OK",
                                      "HTTP/1.1 099 OK",
                                      "HTTP/1.1 600 X",
                                      "HTTP/1.1 999 X",
                                      "HTTP/1.1\t200\tOK",
                                      "HTTP/1.1 200\tOK",
                                      "HTTP/1.1 -20 OK",
                                      "HTTP/1.1 +20 OK",
                                      "HTTP/1.1",
                                      "HTTP/1.x 200 OK",
                                      "http/1.1 200 OK",
                                      "ICY 200 OK",
                                      "",
                                      "HTTP/1.1 200 O\rK"}) {
    EXPECT_EQ(response(std::string(line) + "\r\nContent-Length: 0\r\n\r\n").status(), 400) << line;
  }
}

TEST(ParseResponse, tells_other_protocols_early) {
  EXPECT_EQ(response("<html>").status(), 400);
  EXPECT_EQ(response("HTTQ").status(), 400);
  EXPECT_EQ(response("HTTP/2").status(), 400);
  EXPECT_EQ(response("\r\nHTTP/1.1 200 OK\r\n\r\n").status(), 400);
}

TEST(ParseResponse, refuses_malformed_fields_and_line_ends) {
  for (const std::string_view lines : {"X : a\r\n", " X: a\r\n", "X: a\nY: b\r\n", "X: a\x01\r\n", "X\r\n", ": a\r\n"}) {
    EXPECT_EQ(ok_with(lines).status(), 400) << lines;
  }
}

TEST(ParseResponse, refuses_status_lines_and_heads_that_are_too_long) {
  EXPECT_EQ(response("HTTP/1.1 200 " + std::string(9000, 'a')).status(), 431);
  std::string lines;
  for (int i = 0; i < 101; ++i) lines += "A:\r\n";
  EXPECT_EQ(ok_with(lines).status(), 431);
}

}  // namespace parse_response_test
}  // namespace steelyard::http1
