// Sessions of packets over scripted streams.
#include "session/packet_server.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "session/frontend.hpp"
#include "support/line.hpp"
#include "support/scripted_listener.hpp"
#include "support/scripted_stream.hpp"

namespace steelyard {
namespace packet_server_test {

using testing_support::at_ms;
using testing_support::ScriptedListener;
using testing_support::ScriptedStream;
using testing_support::turn;

class NoHttp final : public ExchangeHandler {
 public:
  Task<void> serve(Exchange& /*exchange*/) override {
    ADD_FAILURE() << "a packet was taken for HTTP";
    co_return;
  }
};

// Answers with "<srcid>;" or "<status>!", after ten seconds where it pauses.
class Echo final : public PacketHandler {
 public:
  Task<void> serve(PacketExchange& exchange) override {
    last_listener = exchange.listener;
    served.push_back(exchange.refusal ? std::to_string(exchange.refusal->status) + "!"
                                      : std::get<packet::Data>(exchange.message).source + ";");
    if (exchange.refusal) reason = exchange.refusal->reason;
    if (pauses) {
      exchange.fiber.set_deadline(exchange.fiber.scheduler().now() + 10s);
      last_wait = co_await until_deadline();
    }
    if (!exchange.answer.send(std::string_view(served.back()))) exchange.broken_off = true;
  }

  std::vector<std::string> served;
  std::string reason;
  std::uint32_t last_listener = 0;
  bool pauses = false;
  WaitResult last_wait = WaitResult::done;
};

using Served = std::vector<std::string>;

std::string data(const std::string& source) {
  return R"({"type": "0", "srcid": ")" + source + R"(", "privPoliId": "111", "payload": "x"})";
}

struct PacketSessions : ::testing::Test {
  Scheduler scheduler{at_ms(0)};
  Scratch scratch;
  WorkerMetrics metrics;
  NoHttp http;
  Echo echo;
  ConnectionOptions limit_options{.connections_max = 2};
  ConnectionLimits limits{limit_options};
  ScriptedListener::Queue queue;
  bool done = false;  // of a drain
  Frontend frontend{scheduler, scratch, metrics, http, limits};

  PacketSessions() {
    frontend.packets = &echo;
    frontend.listen(std::make_unique<ScriptedListener>(queue), {.protocol = Protocol::packet, .packet_bytes_max = 300}, 7);
  }
  ~PacketSessions() override {
    frontend.drain([] {});
    frontend.abort();
    turn(scheduler);
  }
  ScriptedStream* connect() {
    ScriptedStream* const stream = queue.connect();
    turn(scheduler);
    return stream;
  }
  void feed(ScriptedStream* stream, std::string_view bytes) {
    stream->feed(bytes);
    turn(scheduler);
  }
  void pass(Duration time) {
    scheduler.advance(scheduler.now() + time);
    turn(scheduler);
  }
  std::uint64_t hits(Limit limit) { return metrics.limits[static_cast<std::size_t>(limit)].value(); }
};

TEST_F(PacketSessions, packets_are_answered_one_after_the_other_on_one_connection) {
  ScriptedStream* const client = connect();
  EXPECT_EQ(metrics.client_connections_idle.value(), 1);
  feed(client, data("1"));
  feed(client, data("2"));
  EXPECT_EQ(client->record()->sent, "1;2;");
  EXPECT_EQ(metrics.client_connections_idle.value(), 1);
  EXPECT_EQ(echo.last_listener, 7U);
}

TEST_F(PacketSessions, a_packet_may_arrive_byte_by_byte) {
  ScriptedStream* const client = connect();
  for (const char c : data("1")) feed(client, {&c, 1});
  EXPECT_EQ(echo.served, Served{"1;"});
}

TEST_F(PacketSessions, packets_that_arrive_together_are_answered_in_order) {
  ScriptedStream* const client = connect();
  const std::string fourth = data("4");
  feed(client, data("1") + data("2") + "\n" + data("3") + fourth.substr(0, 10));
  EXPECT_EQ(client->record()->sent, "1;2;3;");
  feed(client, fourth.substr(10));
  EXPECT_EQ(client->record()->sent, "1;2;3;4;");
}

TEST_F(PacketSessions, a_client_with_many_packets_lets_others_have_their_turn) {
  ScriptedStream* const client = connect();
  std::string many;
  for (int i = 0; i < 40; ++i) many += data("1");
  client->feed(many);
  EXPECT_EQ(echo.served.size(), 32U);
  turn(scheduler);
  EXPECT_EQ(echo.served.size(), 40U);
}

TEST_F(PacketSessions, what_is_no_packet_ends_the_connection_after_it_was_refused) {
  ScriptedStream* const client = connect();
  const auto record = client->record();
  feed(client, data("1") + "[]" + data("2"));
  EXPECT_EQ(echo.served, (Served{"1;", "400!"}));
  EXPECT_TRUE(record->ended);
  EXPECT_FALSE(record->reset_on_close);
  client->end();
  turn(scheduler);
  EXPECT_TRUE(record->destroyed);
}

TEST_F(PacketSessions, an_object_that_is_no_message_is_refused) {
  feed(connect(), R"({"type": "9"})");
  EXPECT_EQ(echo.served, Served{"400!"});
}

TEST_F(PacketSessions, a_packet_larger_than_allowed_is_refused_as_soon_as_that_is_known) {
  ScriptedStream* const client = connect();
  feed(client, R"({"type": "0", "payload": ")" + std::string(280, 'x'));
  EXPECT_EQ(echo.served, Served{"413!"});
  EXPECT_EQ(hits(Limit::packet_bytes), 1U);
}

TEST_F(PacketSessions, blanks_without_end_are_refused) {
  ScriptedStream* const client = connect();
  for (int i = 0; i < 3; ++i) feed(client, std::string(100, ' '));
  EXPECT_EQ(echo.served, Served{});
  EXPECT_EQ(metrics.client_connections_idle.value(), 1) << "a connection on which only blanks came is an idle one";
  feed(client, " ");
  EXPECT_EQ(echo.served, Served{"413!"});
}

TEST_F(PacketSessions, a_packet_has_its_time_from_its_first_byte) {
  ScriptedStream* const client = connect();
  frontend.timeouts.header_read = 10s;
  const std::string packet = data("1");
  for (std::size_t i = 0; i < 9; ++i) {
    feed(client, packet.substr(i, 1));
    pass(1s);
  }
  EXPECT_EQ(echo.served, Served{});
  pass(1s);
  EXPECT_EQ(echo.served, Served{"408!"});
  EXPECT_EQ(hits(Limit::header_read_timeout), 1U);
}

TEST_F(PacketSessions, an_idle_connection_is_closed_in_the_end) {
  const auto record = connect()->record();
  pass(frontend.timeouts.idle);
  EXPECT_TRUE(record->destroyed);
  EXPECT_EQ(hits(Limit::idle_timeout), 1U);
}

TEST_F(PacketSessions, a_client_that_ends_between_packets_is_closed_in_order_and_one_inside_a_packet_is_refused) {
  ScriptedStream* const polite = connect();
  const auto record = polite->record();
  feed(polite, data("1"));
  polite->end();
  turn(scheduler);
  EXPECT_TRUE(record->destroyed);
  ScriptedStream* const hasty = connect();
  hasty->feed_and_end(data("2").substr(0, 20));
  turn(scheduler);
  EXPECT_EQ(echo.served, (Served{"1;", "400!"}));
}

TEST_F(PacketSessions, a_client_that_only_ended_its_sending_side_gets_its_answer) {
  ScriptedStream* const client = connect();
  const auto record = client->record();
  echo.pauses = true;
  client->feed_and_end(data("1"));
  turn(scheduler);
  pass(10s);
  EXPECT_EQ(record->sent, "1;");
}

TEST_F(PacketSessions, a_client_that_resets_cancels_what_is_under_way) {
  ScriptedStream* const client = connect();
  client->watch();
  echo.pauses = true;
  feed(client, data("1"));
  client->reset();
  turn(scheduler);
  EXPECT_EQ(echo.last_wait, WaitResult::cancelled);
}

TEST_F(PacketSessions, a_connection_over_the_limit_is_refused_without_being_heard) {
  connect();
  connect();
  ScriptedStream* const third = connect();
  feed(third, data("1"));
  EXPECT_EQ(echo.served, Served{"503!"});
  EXPECT_EQ(hits(Limit::connections), 1U);
}

TEST_F(PacketSessions, a_drain_closes_idle_connections_and_lets_the_packets_under_way_be_answered) {
  const auto idle = connect()->record();
  ScriptedStream* const busy = connect();
  const auto record = busy->record();
  echo.pauses = true;
  feed(busy, data("1") + data("2"));
  frontend.drain([this] { done = true; });
  turn(scheduler);
  EXPECT_TRUE(idle->destroyed);
  EXPECT_FALSE(done);
  pass(10s);
  pass(10s);
  EXPECT_EQ(record->sent, "1;2;") << "both had been received";
  EXPECT_TRUE(record->destroyed);
  EXPECT_TRUE(done);
}

TEST_F(PacketSessions, a_gentle_drain_waits_a_while_for_a_packet_on_its_way) {
  ScriptedStream* const client = connect();
  const auto record = client->record();
  frontend.drain_gently([] {}, [this] { done = true; });
  turn(scheduler);
  EXPECT_FALSE(record->destroyed);
  feed(client, data("1"));
  EXPECT_EQ(record->sent, "1;");
  EXPECT_FALSE(record->destroyed) << "nothing could tell it that its connection ends";
  pass(6s);
  EXPECT_TRUE(record->destroyed);
  EXPECT_TRUE(done);
}

TEST_F(PacketSessions, blanks_do_not_keep_an_idle_connection) {
  ScriptedStream* const client = connect();
  const auto record = client->record();
  pass(frontend.timeouts.idle / 2);
  feed(client, "\n");
  pass(frontend.timeouts.idle / 2);
  EXPECT_TRUE(record->destroyed);
  EXPECT_EQ(hits(Limit::idle_timeout), 1U);
}

TEST_F(PacketSessions, a_packet_gives_its_connection_another_while) {
  ScriptedStream* const client = connect();
  const auto record = client->record();
  pass(frontend.timeouts.idle / 2);
  feed(client, data("1"));
  pass(frontend.timeouts.idle / 2);
  EXPECT_FALSE(record->destroyed);
}

// Closing at once would reset the connection, and the client might lose the answer.
TEST_F(PacketSessions, a_drain_lingers_where_more_has_arrived_than_it_answers) {
  ScriptedStream* const client = connect();
  const auto record = client->record();
  echo.pauses = true;
  feed(client, data("1"));
  frontend.drain([this] { done = true; });
  feed(client, data("2"));
  pass(10s);
  EXPECT_EQ(record->sent, "1;");
  EXPECT_TRUE(record->ended);
  ASSERT_FALSE(record->destroyed);
  client->end();
  turn(scheduler);
  EXPECT_TRUE(record->destroyed);
  EXPECT_TRUE(done);
}

TEST_F(PacketSessions, a_gentle_drain_ends_a_busy_connection_between_two_packets) {
  frontend.timeouts.drain = 30s;
  ScriptedStream* const client = connect();
  const auto record = client->record();
  frontend.drain_gently([] {}, [this] { done = true; });
  for (int i = 0; i < 15; ++i) {
    ASSERT_FALSE(record->destroyed) << i;
    feed(client, data("1"));
    pass(1s);
  }
  feed(client, data("2"));
  EXPECT_TRUE(record->sent.ends_with("2;"));
  EXPECT_FALSE(record->reset_on_close);
  EXPECT_TRUE(done) << "long before timeouts.drain, which would have cut what is under way";
}

}  // namespace packet_server_test
}  // namespace steelyard
