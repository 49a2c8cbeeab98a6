// The tunnel of an upgraded connection: both directions, half-close, failure of either side, and the idle time they share.
#include <gtest/gtest.h>

#include "proxy/relay.hpp"
#include "support/line.hpp"
#include "support/scripted_exchange.hpp"

namespace steelyard {
namespace tunnel_test {

using testing_support::at_ms;
using testing_support::Line;
using testing_support::ScriptedExchange;
using testing_support::ScriptedStream;
using testing_support::turn;

Task<void> run_tunnel(Exchange& exchange, Stream& server, StreamWriter& to_server, RelayTools tools, Duration idle,
                      std::optional<TunnelEnd>& into) {
  into = co_await tunnel(exchange, server, to_server, tools, {idle, idle, never});
}

struct TunnelTest : ::testing::Test {
  Scheduler scheduler{at_ms(0)};
  Line line{scheduler};
  Scratch scratch;
  Pipes pipes;
  ScriptedStream client;
  ScriptedStream server;
  ScriptedExchange exchange{line.fiber, client, {}};
  StreamWriter to_server{server, Side::server};
  std::optional<TunnelEnd> end;

  void start() { line.fiber.start(run_tunnel(exchange, server, to_server, {scratch, pipes}, 10s, end)); }
};

TEST_F(TunnelTest, carries_both_ways_until_both_have_ended) {
  start();
  client.feed("ping");
  turn(scheduler);
  server.feed("pong!");
  turn(scheduler);
  EXPECT_EQ(server.record()->sent, "ping");
  EXPECT_EQ(client.record()->sent, "pong!");
  client.end();
  turn(scheduler);
  EXPECT_TRUE(server.record()->ended);
  EXPECT_FALSE(end);
  server.feed("late");
  turn(scheduler);
  EXPECT_EQ(client.record()->sent, "pong!late");
  server.end();
  turn(scheduler);
  EXPECT_TRUE(client.record()->ended);
  ASSERT_TRUE(end);
  EXPECT_TRUE(end->result.has_value());
  EXPECT_EQ(end->client_bytes, 4U);
  EXPECT_EQ(end->server_bytes, 9U);
}

TEST_F(TunnelTest, what_a_side_does_not_take_is_waited_for_before_more_is_read) {
  client.room = 3;
  start();
  server.feed("0123456789");
  turn(scheduler);
  server.feed("more");
  turn(scheduler);
  EXPECT_EQ(client.record()->sent, "012");
  client.make_room(100);
  turn(scheduler);
  EXPECT_EQ(client.record()->sent, "0123456789more");
  client.end();
  server.end();
  turn(scheduler);
  EXPECT_TRUE(end && end->result);
}

TEST_F(TunnelTest, a_client_that_fails_ends_it) {
  start();
  turn(scheduler);
  client.reset();
  turn(scheduler);
  ASSERT_TRUE(end);
  ASSERT_FALSE(end->result);
  EXPECT_EQ(end->result.error().kind, ErrorKind::reset);
  EXPECT_EQ(end->result.error().side, Side::client);
}

TEST_F(TunnelTest, a_client_that_has_failed_before_it_begins_ends_it) {
  client.reset();
  start();
  turn(scheduler);
  ASSERT_TRUE(end) << "the server was waited for although nobody is left to hear it";
  ASSERT_FALSE(end->result);
  EXPECT_EQ(end->result.error().side, Side::client);
}

TEST_F(TunnelTest, a_server_that_fails_ends_it) {
  start();
  server.reset();
  turn(scheduler);
  ASSERT_TRUE(end);
  ASSERT_FALSE(end->result);
  EXPECT_EQ(end->result.error().side, Side::server);
}

TEST_F(TunnelTest, cancelling_ends_both_directions) {
  start();
  line.fiber.cancel(Cause::shutdown);
  turn(scheduler);
  ASSERT_TRUE(end);
  ASSERT_FALSE(end->result);
  EXPECT_EQ(end->result.error().kind, ErrorKind::cancelled);
}

TEST_F(TunnelTest, cancelling_after_one_side_has_ended_ends_the_other) {
  start();
  server.end();
  turn(scheduler);
  EXPECT_FALSE(end);
  line.fiber.cancel(Cause::shutdown);
  turn(scheduler);
  EXPECT_TRUE(end);
}

TEST_F(TunnelTest, it_ends_when_nothing_moves_for_the_idle_time) {
  start();
  turn(scheduler, at_ms(9'999));
  EXPECT_FALSE(end);
  turn(scheduler, at_ms(10'000));
  turn(scheduler, at_ms(10'001));
  ASSERT_TRUE(end);
  ASSERT_FALSE(end->result);
  EXPECT_EQ(end->result.error().kind, ErrorKind::timed_out);
}

TEST_F(TunnelTest, what_moves_in_one_direction_keeps_the_other_alive) {
  start();
  for (std::int64_t now = 4000; now <= 40'000; now += 4000) {
    turn(scheduler, at_ms(now));
    client.feed("x");
    turn(scheduler);
  }
  EXPECT_FALSE(end);
  EXPECT_EQ(server.record()->sent, "xxxxxxxxxx");
  client.reset();
  turn(scheduler);
}

TEST_F(TunnelTest, a_direction_left_alone_lives_as_long_as_it_moves) {
  start();
  server.end();
  for (std::int64_t now = 4000; now <= 40'000; now += 4000) {
    turn(scheduler, at_ms(now));
    client.feed("x");
    turn(scheduler);
  }
  EXPECT_FALSE(end) << "cut although bytes were moving";
  EXPECT_EQ(server.record()->sent, "xxxxxxxxxx");
  client.end();
  turn(scheduler);
  ASSERT_TRUE(end);
  EXPECT_TRUE(end->result);
  EXPECT_EQ(end->client_bytes, 10U);
}

}  // namespace tunnel_test
}  // namespace steelyard
