// Where bodies end, which connections persist, and which fields stay behind.
#include "wire/http1/framing.hpp"

#include <gtest/gtest.h>

#include "replay.hpp"

namespace steelyard::http1 {
namespace framing_test {

using http::BodyKind;
using http::Method;

TEST(FrameRequest, has_no_body_without_length_fields) {
  const auto parsed = post_with("");
  ASSERT_TRUE(parsed.accepted());
  EXPECT_EQ(parsed.head->body.kind, BodyKind::none);
  EXPECT_FALSE(parsed.head->has_content_length);
}

TEST(FrameRequest, reads_content_length) {
  const auto parsed = post_with("Content-Length:9223372036854775807\r\n");
  ASSERT_TRUE(parsed.accepted());
  EXPECT_EQ(parsed.head->body.kind, BodyKind::length);
  EXPECT_EQ(parsed.head->body.length, 9223372036854775807U);
  const auto empty = post_with("Content-Length: 0\r\n");
  ASSERT_TRUE(empty.accepted());
  EXPECT_EQ(empty.head->body.kind, BodyKind::none);
  EXPECT_TRUE(empty.head->has_content_length);
}

TEST(FrameRequest, refuses_content_lengths_that_are_not_one_number) {
  for (const std::string_view value :
       {"", "-0", "+5", "5.0", "5 5", "5,", "5, 5", "0x5", "5a", "a", "010", "00", "1e1", "9223372036854775808", "18446744073709551621",
        "00000000000000000000000000000018446744073709551621"}) {
    EXPECT_EQ(post_with("Content-Length: " + std::string(value) + "\r\n").status(), 400) << value;
  }
  EXPECT_EQ(post_with("Content-Length: 5\r\nContent-Length: 5\r\n").status(), 400);
  EXPECT_EQ(post_with("Content-Length: 0\r\ncontent-length: 0\r\n").status(), 400);
}

TEST(FrameRequest, reads_chunked) {
  for (const std::string_view value : {"chunked", "Chunked", "CHUNKED \t"}) {
    const auto parsed = post_with("Transfer-Encoding: " + std::string(value) + "\r\n");
    ASSERT_TRUE(parsed.accepted()) << value;
    EXPECT_EQ(parsed.head->body.kind, BodyKind::chunked);
    EXPECT_TRUE(field_of(parsed, "Transfer-Encoding")->hop_by_hop);
  }
}

TEST(FrameRequest, refuses_other_transfer_codings) {
  for (const std::string_view value : {"gzip", "identity", "gzip, chunked", "chunked, gzip", "chunkedchunked", "xchunked"}) {
    EXPECT_EQ(post_with("Transfer-Encoding: " + std::string(value) + "\r\n").status(), 501) << value;
  }
  for (const std::string_view value :
       {"", ",", "chunked,", ",chunked", "chunked chunked", "chunked;q=1", "\"chunked\"", "chunked, chunked", ": chunked",
        "\xa0"
        "chunked",
        "chunked\x85"}) {
    EXPECT_EQ(post_with("Transfer-Encoding: " + std::string(value) + "\r\n").status(), 400) << value;
  }
  EXPECT_EQ(post_with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n").status(), 400);
  EXPECT_EQ(post_with("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n").status(), 400);
}

TEST(FrameRequest, refuses_two_framings) {
  EXPECT_EQ(post_with("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n").status(), 400);
  EXPECT_EQ(post_with("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n").status(), 400);
  EXPECT_EQ(post_with("Content-Length: 5\r\nTransfer-Encoding: chunked\r\nConnection: Transfer-Encoding\r\n").status(), 400);
}

TEST(FrameRequest, refuses_transfer_encoding_in_http_1_0) {
  EXPECT_EQ(request("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n").status(), 400);
}

TEST(FrameRequest, refuses_bodies_of_trace_and_connect) {
  EXPECT_EQ(request("TRACE / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n").status(), 400);
  EXPECT_EQ(request("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nTransfer-Encoding: chunked\r\n\r\n").status(), 400);
}

TEST(FrameRequest, decides_persistence) {
  EXPECT_TRUE(get_with("").head->keep_alive);
  EXPECT_FALSE(get_with("Connection: Close\r\n").head->keep_alive);
  EXPECT_FALSE(get_with("Connection: close, keep-alive\r\n").head->keep_alive);
  EXPECT_FALSE(get_with("Connection: keep-alive\r\nConnection: close\r\n").head->keep_alive);
  EXPECT_FALSE(request("GET / HTTP/1.0\r\n\r\n").head->keep_alive);
  EXPECT_TRUE(request("GET / HTTP/1.0\r\nConnection: ,Keep-Alive\r\n\r\n").head->keep_alive);
}

TEST(FrameRequest, expects_continue_only_with_a_body) {
  EXPECT_TRUE(post_with("Expect: 100-Continue\r\nContent-Length: 5\r\n").head->expects_continue);
  EXPECT_TRUE(post_with("Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n").head->expects_continue);
  EXPECT_FALSE(post_with("Expect: 100-continue\r\n").head->expects_continue);
  EXPECT_FALSE(request("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n").head->expects_continue);
  EXPECT_FALSE(post_with("Content-Length: 5\r\n").head->expects_continue);
}

TEST(FrameRequest, refuses_other_expectations) {
  for (const std::string_view value : {"200-ok", "", "y 100-continue", "100-continue, x", "100-continue;a=b"}) {
    EXPECT_EQ(post_with("Content-Length: 5\r\nExpect: " + std::string(value) + "\r\n").status(), 417) << value;
  }
}

TEST(FrameRequest, offers_an_upgrade_that_connection_names) {
  EXPECT_EQ(get_with("Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n").head->upgrade, "websocket");
  EXPECT_EQ(get_with("Upgrade: foo/1, websocket\r\nConnection: upgrade\r\n").head->upgrade, "foo/1, websocket");
  EXPECT_EQ(get_with("Upgrade: websocket\r\n").head->upgrade, "");
  EXPECT_EQ(get_with("Connection: upgrade\r\n").head->upgrade, "");
  EXPECT_EQ(request("GET / HTTP/1.0\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n").head->upgrade, "");
  EXPECT_EQ(post_with("Upgrade: websocket\r\nConnection: upgrade\r\nContent-Length: 5\r\n").head->upgrade, "");
}

TEST(FrameRequest, never_offers_what_would_hide_requests) {
  for (const std::string_view value :
       {"h2c", "H2C", "websocket, h2c", "h2c,websocket", "h2", "TLS/1.2", "HTTP/2.0", "a b", "", "websocket,", "/1"}) {
    EXPECT_EQ(get_with("Connection: upgrade\r\nUpgrade: " + std::string(value) + "\r\n").head->upgrade, "") << value;
  }
  EXPECT_EQ(get_with("Connection: upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n").head->upgrade, "");
}

TEST(FrameRequest, marks_the_fields_of_this_hop) {
  const auto parsed = get_with(
      "Connection: X-Mine, keep-alive, x-forwarded-for\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nTE: trailers\r\n"
      "Upgrade: h2c\r\nHTTP2-Settings: AA\r\nProxy: http://x\r\nProxy-Authorization: a\r\nProxy-Authenticate: a\r\nx-mine: 1\r\nX-Mine: "
      "2\r\n"
      "X-Forwarded-For: 6.6.6.6\r\nTrailer: X-T\r\nX-Other: 3\r\nCookie: a=b\r\n");
  ASSERT_TRUE(parsed.accepted());
  for (const http::Field& field : parsed.head->fields.all()) {
    const bool stays = field.name == "Host" || field.name == "Trailer" || field.name == "X-Other" || field.name == "Cookie";
    EXPECT_EQ(field.hop_by_hop, !stays) << field.name;
  }
}

TEST(FrameRequest, marks_nominated_fields_that_come_before_their_nomination) {
  const auto parsed = get_with("X-Mine: 1\r\nConnection: x-mine\r\n");
  ASSERT_TRUE(parsed.accepted());
  EXPECT_TRUE(field_of(parsed, "X-Mine")->hop_by_hop);
}

TEST(FrameRequest, refuses_to_strip_what_every_recipient_needs) {
  for (const std::string_view name : {"Host", "Content-Length", "transfer-encoding"}) {
    EXPECT_EQ(get_with("Connection: " + std::string(name) + "\r\n").status(), 400) << name;
  }
}

TEST(FrameRequest, bounds_connection_options) {
  std::string options = "x";
  for (int i = 1; i < 64; ++i) options += ",x";
  EXPECT_TRUE(get_with("Connection: " + options + "\r\n").accepted());
  EXPECT_EQ(get_with("Connection: " + options + ",x\r\n").status(), 400);
  EXPECT_EQ(get_with("Connection: " + options + "\r\nConnection: x\r\n").status(), 400);
  EXPECT_EQ(get_with("Connection: a b\r\n").status(), 400);
  EXPECT_EQ(get_with("Connection: \"close\"\r\n").status(), 400);
}

TEST(FrameRequest, changes_nothing_when_called_again) {
  auto parsed = post_with("Connection: upgrade, X-A\r\nUpgrade: websocket\r\nX-A: b\r\nContent_Length: 3\r\n");
  ASSERT_TRUE(parsed.accepted());
  const std::string before = describe(*parsed.head);
  ASSERT_TRUE(frame_request(*parsed.head));
  EXPECT_EQ(describe(*parsed.head), before);
}

TEST(FrameResponse, reads_length_chunked_and_close) {
  const auto length = ok_with("Content-Length: 5\r\n");
  EXPECT_EQ(length.head->body.kind, BodyKind::length);
  EXPECT_EQ(length.head->body.length, 5U);
  EXPECT_TRUE(length.head->keep_alive);
  EXPECT_EQ(ok_with("Content-Length: 0\r\n").head->body.kind, BodyKind::none);
  EXPECT_EQ(ok_with("Transfer-Encoding: chunked\r\n").head->body.kind, BodyKind::chunked);
  const auto close = ok_with("");
  EXPECT_EQ(close.head->body.kind, BodyKind::until_close);
  EXPECT_FALSE(close.head->keep_alive);
  EXPECT_FALSE(response("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n").head->keep_alive);
  EXPECT_TRUE(response("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\n").head->keep_alive);
  EXPECT_FALSE(ok_with("Content-Length: 5\r\nConnection: close\r\n").head->keep_alive);
}

TEST(FrameResponse, refuses_ambiguous_framing) {
  for (const std::string_view lines : {"Content-Length: 5\r\nContent-Length: 6\r\n", "Content-Length: 5, 5\r\n", "Content-Length: -5\r\n",
                                       "Transfer-Encoding: identity\r\n", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
                                       "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"}) {
    EXPECT_NE(ok_with(lines).status(), 0) << lines;
    EXPECT_NE(ok_with(lines, Method::head).status(), 0) << lines;
  }
  EXPECT_EQ(response("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").status(), 400);
}

TEST(FrameResponse, has_no_body_where_none_may_be) {
  const auto head = ok_with("Content-Length: 5\r\n", Method::head);
  EXPECT_EQ(head.head->body.kind, BodyKind::none);
  EXPECT_EQ(head.head->content_length, 5U);
  EXPECT_TRUE(head.head->keep_alive);
  EXPECT_EQ(ok_with("", Method::head).head->body.kind, BodyKind::none);
  EXPECT_TRUE(ok_with("", Method::head).head->keep_alive);
  EXPECT_EQ(ok_with("Transfer-Encoding: chunked\r\n", Method::head).head->body.kind, BodyKind::none);
  for (const std::string_view line : {"304 Not Modified", "204 No Content", "100 Continue", "103 Early Hints"}) {
    const auto parsed = response("HTTP/1.1 " + std::string(line) + "\r\nContent-Length: 5\r\n\r\n");
    ASSERT_TRUE(parsed.accepted()) << line;
    EXPECT_EQ(parsed.head->body.kind, BodyKind::none) << line;
    const bool may_have_length = line.starts_with("304");
    EXPECT_EQ(field_of(parsed, "Content-Length")->hop_by_hop, !may_have_length) << line;
    EXPECT_EQ(parsed.head->keep_alive, may_have_length) << line;
  }
}

TEST(FrameResponse, does_not_keep_a_connection_after_an_impossible_body) {
  EXPECT_FALSE(response("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n").head->keep_alive);
  EXPECT_TRUE(response("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n").head->keep_alive);
}

TEST(FrameResponse, switches_protocols_only_when_101_names_one) {
  const auto parsed = response("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly");
  ASSERT_TRUE(parsed.accepted());
  EXPECT_EQ(parsed.head->upgrade, "websocket");
  EXPECT_EQ(parsed.head->body.kind, BodyKind::none);
  EXPECT_EQ(response("HTTP/1.1 101 S\r\nUpgrade: websocket\r\n\r\n").status(), 400);
  EXPECT_EQ(response("HTTP/1.1 101 S\r\nConnection: upgrade\r\n\r\n").status(), 400);
  EXPECT_EQ(response("HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n").status(), 400);
  EXPECT_EQ(ok_with("Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n").head->upgrade, "");
}

TEST(FrameResponse, refuses_an_answer_to_connect) { EXPECT_EQ(ok_with("", Method::connect).status(), 400); }

}  // namespace framing_test
}  // namespace steelyard::http1
