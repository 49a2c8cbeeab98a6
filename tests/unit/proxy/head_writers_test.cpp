// Heads as they leave the proxy, from heads as they were parsed.
#include "proxy/head_writers.hpp"

#include <gtest/gtest.h>

#include <string>

#include "support/line.hpp"
#include "support/scripted_exchange.hpp"
#include "wire/http1/parse.hpp"

namespace steelyard {
namespace head_writers_test {

using testing_support::at_ms;
using testing_support::Line;
using testing_support::ScriptedExchange;
using testing_support::ScriptedStream;

bool has(const std::string& text, std::string_view line) { return text.find("\r\n" + std::string(line) + "\r\n") != std::string::npos; }
bool names(const std::string& text, std::string_view name) { return text.find("\r\n" + std::string(name) + ":") != std::string::npos; }

struct RequestHeadTest : ::testing::Test {
  RouteOptions route;
  ForwardedOptions forwarded;
  Server server{ServerOptions{.id = "a", .host = "backend", .port = 8001}, *SocketAddress::parse("127.0.0.1:8001"), active_unlimited, 1};
  IpAddress client = *IpAddress::parse("192.0.2.7");

  Expect expect = Expect::passed_on;

  std::string written(const std::string& received) {
    http::RequestHead head;
    http1::ScanState scan;
    const auto parsed = http1::parse_request(received, scan, {}, head);
    EXPECT_TRUE(parsed && *parsed != 0) << (parsed ? "" : parsed.error().reason);
    char memory[8192];
    HeadBuilder out(memory);
    write_request_head(out, {head, head.path, route, forwarded, server, client, "id-1", expect});
    return std::string(out.view());
  }
};

TEST_F(RequestHeadTest, keeps_target_and_fields_and_adds_what_the_proxy_says) {
  const std::string text = written("GET /a?b=c HTTP/1.1\r\nHost: example.com\r\nAccept: x\r\n\r\n");
  EXPECT_EQ(text,
            "GET /a?b=c HTTP/1.1\r\nHost: example.com\r\nAccept: x\r\nX-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\n"
            "X-Forwarded-Host: example.com\r\nVia: 1.1 steelyard\r\nX-Request-Id: id-1\r\n\r\n");
}

TEST_F(RequestHeadTest, an_absolute_target_becomes_path_and_host) {
  const std::string text = written("GET http://other.example/p HTTP/1.1\r\nHost: other.example\r\n\r\n");
  EXPECT_TRUE(text.starts_with("GET /p HTTP/1.1\r\nHost: other.example\r\n"));
}

TEST_F(RequestHeadTest, the_host_is_the_clients_the_servers_or_the_configured_one) {
  const std::string received = "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n";
  route.host = "server";
  EXPECT_TRUE(has(written(received), "Host: backend:8001"));
  route.host = "fixed.example";
  EXPECT_TRUE(has(written(received), "Host: fixed.example"));
  route.host = "";
  EXPECT_TRUE(has(written("GET / HTTP/1.0\r\n\r\n"), "Host: backend:8001"));
}

TEST_F(RequestHeadTest, what_belongs_to_the_hop_stays) {
  const std::string text = written(
      "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, X-Private\r\nX-Private: 1\r\nKeep-Alive: timeout=5\r\nTE: trailers\r\n"
      "Proxy-Connection: keep-alive\r\nProxy-Authorization: x\r\n\r\n");
  for (const std::string_view name : {"Connection", "X-Private", "Keep-Alive", "TE", "Proxy-Connection"}) {
    EXPECT_FALSE(names(text, name)) << name;
  }
}

TEST_F(RequestHeadTest, an_expectation_goes_on_unless_it_was_met_here) {
  const std::string received = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n";
  EXPECT_TRUE(has(written(received), "Expect: 100-continue"));
  expect = Expect::met;
  EXPECT_FALSE(names(written(received), "Expect"));
}

TEST_F(RequestHeadTest, framing_is_written_anew) {
  EXPECT_TRUE(has(written("POST / HTTP/1.1\r\nHost: a\r\nContent-length:7\r\n\r\n"), "Content-Length: 7"));
  EXPECT_TRUE(has(written("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"), "Content-Length: 0"));
  const std::string chunked = written("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n");
  EXPECT_TRUE(has(chunked, "Transfer-Encoding: chunked"));
  EXPECT_FALSE(names(chunked, "Content-Length"));
}

TEST_F(RequestHeadTest, claims_of_a_stranger_and_its_request_id_are_replaced) {
  const std::string text =
      written("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 10.0.0.1\r\nX-Real-IP: 10.0.0.1\r\nX-Request-Id: theirs\r\n\r\n");
  EXPECT_EQ(text.find("10.0.0.1"), std::string::npos);
  EXPECT_EQ(text.find("theirs"), std::string::npos);
}

TEST_F(RequestHeadTest, max_forwards_counts_down_where_it_counts) {
  EXPECT_TRUE(has(written("OPTIONS / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 3\r\n\r\n"), "Max-Forwards: 2"));
  EXPECT_TRUE(has(written("GET / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 3\r\n\r\n"), "Max-Forwards: 3"));
}

TEST_F(RequestHeadTest, an_upgrade_is_offered_on_and_via_names_the_version) {
  const std::string text = written("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  EXPECT_TRUE(has(text, "Connection: Upgrade"));
  EXPECT_TRUE(has(text, "Upgrade: websocket"));
  EXPECT_TRUE(has(written("GET / HTTP/1.0\r\nHost: a\r\n\r\n"), "Via: 1.0 steelyard"));
  forwarded.via = false;
  EXPECT_FALSE(names(written("GET / HTTP/1.0\r\nHost: a\r\n\r\n"), "Via"));
}

TEST_F(RequestHeadTest, a_configured_field_takes_the_place_of_the_proxys_own) {
  forwarded.style = ForwardedStyle::both;
  route.request_headers.remove = {"via", "X-Forwarded-For"};
  route.request_headers.set = {{"x-forwarded-proto", "https"}, {"X-Request-ID", "mine"}, {"Forwarded", "for=unknown"}};
  const std::string text = written("GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: theirs\r\n\r\n");
  EXPECT_TRUE(text.ends_with(
      "\r\nHost: a\r\nX-Forwarded-Host: a\r\nx-forwarded-proto: https\r\nX-Request-ID: mine\r\nForwarded: for=unknown\r\n\r\n"))
      << text;
}

TEST_F(RequestHeadTest, edits_remove_set_and_add) {
  route.request_headers = {.remove = {"cookie"}, .set = {{"Accept", "mine"}}, .add = {{"X-Extra", "1"}}};
  const std::string text = written("GET / HTTP/1.1\r\nHost: a\r\nCookie: c\r\naccept: theirs\r\nX-Extra: 0\r\n\r\n");
  EXPECT_FALSE(names(text, "Cookie"));
  EXPECT_EQ(text.find("theirs"), std::string::npos);
  EXPECT_TRUE(has(text, "Accept: mine"));
  EXPECT_TRUE(has(text, "X-Extra: 0"));
  EXPECT_TRUE(has(text, "X-Extra: 1"));
}

struct ResponseHeadTest : ::testing::Test {
  Scheduler scheduler{at_ms(0)};
  Line line{scheduler};
  ScriptedStream stream;
  ScriptedExchange exchange{line.fiber, stream, {}};
  HeaderEdits edits;

  std::string written(const std::string& received, ClientCoding coding, http::Method method = http::Method::get) {
    http::ResponseHead head;
    http1::ScanState scan;
    const auto parsed = http1::parse_response(received, scan, {}, method, head);
    EXPECT_TRUE(parsed && *parsed != 0) << (parsed ? "" : parsed.error().reason);
    char memory[8192];
    HeadBuilder out(memory);
    write_response_head(out, {head, edits, coding, exchange, "today"});
    return std::string(out.view());
  }
};

TEST_F(ResponseHeadTest, a_known_length_passes) {
  EXPECT_EQ(written("HTTP/1.1 200 Fine\r\nContent-Length: 5\r\nDate: then\r\nX: y\r\n\r\n", ClientCoding::length),
            "HTTP/1.1 200 Fine\r\nDate: then\r\nX: y\r\nContent-Length: 5\r\n\r\n");
}

TEST_F(ResponseHeadTest, one_without_a_date_gets_one) {
  EXPECT_TRUE(has(written("HTTP/1.1 204 No Content\r\n\r\n", ClientCoding::none), "Date: today"));
}

TEST_F(ResponseHeadTest, a_body_of_unknown_length_is_chunked_or_ends_the_connection) {
  const std::string chunked = written("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", ClientCoding::chunked);
  EXPECT_TRUE(has(chunked, "Transfer-Encoding: chunked"));
  exchange.version_minor = 0;
  exchange.keep_alive = false;
  const std::string closing = written("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", ClientCoding::until_close);
  EXPECT_FALSE(names(closing, "Transfer-Encoding"));
  EXPECT_TRUE(has(closing, "Connection: close"));
}

TEST_F(ResponseHeadTest, the_length_of_what_head_does_not_send_passes) {
  EXPECT_TRUE(has(written("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", ClientCoding::none, http::Method::head), "Content-Length: 5"));
}

TEST_F(ResponseHeadTest, the_servers_connection_is_not_the_clients) {
  const std::string text =
      written("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close, X-Private\r\nX-Private: 1\r\n\r\n", ClientCoding::none);
  EXPECT_FALSE(names(text, "Connection"));
  EXPECT_FALSE(names(text, "X-Private"));
  exchange.version_minor = 0;
  EXPECT_TRUE(has(written("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ClientCoding::none), "Connection: keep-alive"));
}

TEST_F(ResponseHeadTest, a_switch_of_protocols_names_it) {
  const std::string text = written("HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", ClientCoding::none);
  EXPECT_TRUE(has(text, "Connection: Upgrade"));
  EXPECT_TRUE(has(text, "Upgrade: websocket"));
  EXPECT_FALSE(names(text, "Date"));
}

TEST_F(ResponseHeadTest, edits_apply_and_interim_heads_carry_their_fields_only) {
  edits = {.remove = {"server"}, .set = {{"X-Frame-Options", "DENY"}}, .add = {}};
  const std::string text = written("HTTP/1.1 200 OK\r\nServer: s\r\nContent-Length: 0\r\n\r\n", ClientCoding::none);
  EXPECT_FALSE(names(text, "Server"));
  EXPECT_TRUE(has(text, "X-Frame-Options: DENY"));
  http::ResponseHead head;
  http1::ScanState scan;
  const std::string early = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: close\r\n\r\n";
  ASSERT_TRUE(http1::parse_response(early, scan, {}, http::Method::get, head));
  char memory[256];
  HeadBuilder out(memory);
  write_interim_head(out, head);
  EXPECT_EQ(out.view(), "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
}

}  // namespace head_writers_test
}  // namespace steelyard
