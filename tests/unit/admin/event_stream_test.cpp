// Streams of events: what a client sees of what is published, when it comes back, when it is slow, and when it leaves.
#include <tuple>

#include "fixture.hpp"

namespace steelyard::admin {
namespace event_stream_test {

// Takes the chunked coding off what was sent.
std::string unchunked(std::string_view text) {
  std::string events;
  while (!text.empty()) {
    const std::size_t end = text.find("\r\n");
    if (end == std::string_view::npos) break;
    std::size_t size = 0;
    for (const char c : text.substr(0, end)) size = size * 16 + static_cast<std::size_t>(c <= '9' ? c - '0' : c - 'a' + 10);
    events += text.substr(end + 2, size);
    text.remove_prefix(end + 2 + size + 2);
  }
  return events;
}

struct EventStreamTest : ApiTest {
  Connection& open(const std::string& fields = "", std::string_view version = "HTTP/1.1") {
    Connection& connection = connect();
    connection.stream->feed(fmt::format("GET /v1/events {}\r\nHost: localhost\r\n{}\r\n", version, fields));
    turn(scheduler);
    return connection;
  }
  // The events since the last look, the head left out.
  static std::string seen(Connection& connection) {
    const std::string sent = connection.take_sent();
    return unchunked(sent.starts_with("HTTP/") ? read_response(sent).body : sent);
  }
  void publish(int number) { events.publish("tick", {{"n", number}}); }
};

TEST_F(EventStreamTest, begins_with_a_head_and_sends_what_happens) {
  Connection& connection = open();
  const Response response = read_response(connection.take_sent());
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.field("Content-Type"), "text/event-stream");
  EXPECT_EQ(response.field("Cache-Control"), "no-store");
  EXPECT_EQ(unchunked(response.body), "retry: 1000\n\n");
  scheduler.set_unix_offset_us(5'000'000);
  publish(1);
  turn(scheduler);
  EXPECT_EQ(seen(connection), "event: tick\nid: 1\ndata: {\"n\":1,\"at_unix_ms\":5000}\n\n");
  publish(2);
  publish(3);
  turn(scheduler);
  EXPECT_EQ(seen(connection),
            "event: tick\nid: 2\ndata: {\"n\":2,\"at_unix_ms\":5000}\n\nevent: tick\nid: 3\ndata: {\"n\":3,\"at_unix_ms\":5000}\n\n");
}

TEST_F(EventStreamTest, sends_only_what_happens_from_now_on) {
  publish(1);
  EXPECT_EQ(seen(open()), "retry: 1000\n\n");
}

TEST_F(EventStreamTest, resumes_where_the_client_was) {
  for (int i = 1; i <= 3; ++i) publish(i);
  const std::string events_seen = seen(open("Last-Event-ID: 1\r\n"));
  EXPECT_EQ(events_seen.find("id: 1\n"), std::string::npos);
  EXPECT_NE(events_seen.find("id: 2\n"), std::string::npos);
  EXPECT_NE(events_seen.find("id: 3\n"), std::string::npos);
  EXPECT_EQ(seen(open("Last-Event-ID: 3\r\n")), "retry: 1000\n\n");
}

TEST_F(EventStreamTest, says_that_events_are_lost) {
  for (int i = 1; i <= 1200; ++i) publish(i);
  EXPECT_EQ(seen(open("Last-Event-ID: 200\r\n")).find("event: gap"), std::string::npos);
  for (const char* lost : {"199", "1", "0", "1201", "18446744073709551615", "x", "-1", ""}) {
    Connection& connection = open(fmt::format("Last-Event-ID: {}\r\n", lost));
    EXPECT_NE(seen(connection).find("event: gap\nid: 1200\n"), std::string::npos) << lost;
  }
  publish(1201);
  turn(scheduler);
  for (const auto& connection : connections) EXPECT_NE(connection->take_sent().find("id: 1201\n"), std::string::npos);
}

TEST_F(EventStreamTest, shows_that_it_lives) {
  Connection& connection = open();
  std::ignore = connection.take_sent();
  turn(scheduler, at_ms(14'900));
  EXPECT_EQ(connection.take_sent(), "");
  turn(scheduler, at_ms(15'100));
  EXPECT_EQ(seen(connection), ":\n\n");
  publish(1);
  turn(scheduler, at_ms(20'000));
  std::ignore = connection.take_sent();
  turn(scheduler, at_ms(34'900));
  EXPECT_EQ(connection.take_sent(), "");
  turn(scheduler, at_ms(35'100));
  EXPECT_EQ(seen(connection), ":\n\n");
}

TEST_F(EventStreamTest, cuts_a_client_that_has_fallen_behind_the_log) {
  Connection& connection = open();
  connection.stream->room = 0;
  publish(1);
  turn(scheduler);
  for (int i = 2; i <= 1100; ++i) publish(i);
  turn(scheduler);
  EXPECT_TRUE(connection.session);
  connection.stream->make_room(1 << 20);
  turn(scheduler);
  EXPECT_FALSE(connection.session);
  EXPECT_EQ(api.streams(), 0U);
}

TEST_F(EventStreamTest, cuts_a_client_that_reads_nothing) {
  Connection& connection = open();
  connection.stream->room = 0;
  publish(1);
  turn(scheduler);
  turn(scheduler, at_ms(11'000));
  EXPECT_FALSE(connection.session);
}

TEST_F(EventStreamTest, keeps_a_client_that_catches_up) {
  Connection& connection = open();
  connection.stream->room = 0;
  for (int i = 1; i <= 900; ++i) {
    publish(i);
    turn(scheduler);
  }
  std::ignore = connection.take_sent();
  connection.stream->make_room(1 << 20);
  turn(scheduler);
  EXPECT_TRUE(connection.session);
  EXPECT_NE(connection.take_sent().find("id: 900\n"), std::string::npos);
}

TEST_F(EventStreamTest, ends_with_the_client) {
  for (const bool in_order : {true, false}) {
    Connection& connection = open();
    EXPECT_EQ(api.streams(), 1U);
    in_order ? connection.stream->end() : connection.stream->reset();
    turn(scheduler);
    EXPECT_FALSE(connection.session);
    EXPECT_EQ(api.streams(), 0U);
  }
  publish(1);
  turn(scheduler);
}

TEST_F(EventStreamTest, ends_in_order_when_the_log_is_closed) {
  Connection& connection = open();
  std::ignore = connection.take_sent();
  publish(1);
  events.close();
  turn(scheduler);
  const std::string sent = connection.take_sent();
  EXPECT_NE(sent.find("id: 1\n"), std::string::npos);
  EXPECT_TRUE(sent.ends_with("0\r\n\r\n"));
  EXPECT_EQ(api.streams(), 0U);
  EXPECT_EQ(read_response(open().take_sent()).status, 503);
  publish(2);
  EXPECT_EQ(events.last_id(), 1U);
}

TEST_F(EventStreamTest, are_bounded_in_number) {
  for (std::uint32_t i = 0; i < streams_max; ++i) EXPECT_EQ(read_response(open().take_sent()).status, 200);
  Connection& one_more = open();
  const Response response = read_response(one_more.take_sent());
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(response.code(), "too_many_streams");
  EXPECT_EQ(response.field("Retry-After"), "1");
  connections.front()->stream->end();
  turn(scheduler);
  EXPECT_EQ(read_response(open().take_sent()).status, 200);
}

TEST_F(EventStreamTest, goes_until_the_end_of_the_connection_in_http_1_0) {
  Connection& connection = open("", "HTTP/1.0");
  const Response response = read_response(connection.take_sent());
  EXPECT_EQ(response.field("Transfer-Encoding"), "");
  EXPECT_EQ(response.body, "retry: 1000\n\n");
  publish(1);
  turn(scheduler);
  EXPECT_TRUE(connection.take_sent().starts_with("event: tick\n"));
}

TEST_F(EventStreamTest, answers_head_with_the_head_alone) {
  EXPECT_EQ(ask("HEAD", "/v1/events").body, "");
  EXPECT_EQ(api.streams(), 0U);
}

TEST(EventLog, is_bounded_in_events_and_bytes) {
  Scheduler scheduler(at_ms(0));
  EventLog log(scheduler, 100);
  EXPECT_EQ(log.last_id(), 99U);
  EXPECT_FALSE(log.has_gap_after(99));
  EXPECT_TRUE(log.has_gap_after(98));
  for (int i = 0; i < 1001; ++i) log.publish("tick", Json::object());
  EXPECT_TRUE(log.has_gap_after(99));
  EXPECT_FALSE(log.has_gap_after(100));
  for (int i = 0; i < 5; ++i) log.publish("large", {{"text", std::string(1 << 20, 'x')}});
  EXPECT_TRUE(log.has_gap_after(log.last_id() - 4));
  EXPECT_FALSE(log.has_gap_after(log.last_id() - 3));
}

TEST(EventLog, keeps_each_event_on_lines_of_its_own) {
  Scheduler scheduler(at_ms(0));
  EventLog log(scheduler, 1);
  log.publish("tick", {{"text", "a\nb\r\n\nid: 9\xff"}});
  EXPECT_EQ(log.after(0), "event: tick\nid: 1\ndata: {\"text\":\"a\\nb\\r\\n\\nid: 9\xef\xbf\xbd\",\"at_unix_ms\":0}\n\n");
}

}  // namespace event_stream_test
}  // namespace steelyard::admin
