// Connections to servers: taking, keeping, dropping what ended or spoke unasked, and the sweep of what was idle too long.
#include "upstream/connections.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <vector>

#include "support/line.hpp"
#include "support/scripted_stream.hpp"

namespace steelyard {
namespace connections_test {

using testing_support::at_ms;
using testing_support::Line;
using testing_support::ScriptedStream;
using testing_support::turn;

class ScriptedConnector final : public Connector {
 public:
  explicit ScriptedConnector(Scheduler& of) : scheduler_(of) {}
  Result<std::unique_ptr<Stream>> connect(const SocketAddress& to) override {
    connected_to.push_back(to);
    if (failure) return fail(*failure);
    auto stream = std::make_unique<ScriptedStream>(ScriptedStream::Start::connecting);
    newest = stream.get();
    return stream;
  }
  Scheduler& scheduler() override { return scheduler_; }
  void post(std::function<void()> work) override { work(); }

  std::vector<SocketAddress> connected_to;
  std::optional<ErrorKind> failure;
  ScriptedStream* newest = nullptr;

 private:
  Scheduler& scheduler_;
};

struct ConnectionsTest : ::testing::Test {
  Scheduler scheduler{at_ms(1000)};
  WorkerMetrics metrics;
  ScriptedConnector connector{scheduler};
  static std::shared_ptr<Server> make_server(const std::string& id, std::uint16_t port) {
    return std::make_shared<Server>(ServerOptions{.id = id, .host = id, .port = port}, SocketAddress{IpAddress::v4(0x7f000001U), port},
                                    active_unlimited, 1);
  }
  std::shared_ptr<Server> first = make_server("a", 1);
  std::shared_ptr<Server> second = make_server("b", 2);
  Server& server = *first;
  Server& other = *second;
  Connections connections{connector, metrics, 0};
  KeepaliveOptions keepalive{.idle_connections_max = 3, .idle_timeout = 10s};

  // A connection in use, and the stream under it.
  struct InUse {
    ServerConnectionPtr connection;
    ScriptedStream* stream;
  };
  InUse open(Server& to) {
    auto stream = std::make_unique<ScriptedStream>();
    ScriptedStream* const raw = stream.get();
    return {std::make_unique<ServerConnection>(connections, to.shared_from_this(), std::move(stream)), raw};
  }
  ScriptedStream* keep_one(Server& to) {
    auto [connection, stream] = open(to);
    connections.keep(std::move(connection), keepalive);
    return stream;
  }
  std::int64_t idle() { return metrics.server_connections_idle.value(); }
};

TEST_F(ConnectionsTest, there_is_none_to_take_at_first) { EXPECT_EQ(connections.take_idle(server), nullptr); }

TEST_F(ConnectionsTest, the_newest_kept_connection_of_that_server_is_taken) {
  keep_one(server);
  ScriptedStream* const newest = keep_one(server);
  keep_one(other);
  EXPECT_EQ(idle(), 3);
  const auto taken = connections.take_idle(server);
  ASSERT_NE(taken, nullptr);
  EXPECT_EQ(&taken->stream(), newest);
  EXPECT_TRUE(taken->reused());
  EXPECT_EQ(&taken->server(), &server);
  EXPECT_EQ(idle(), 2);
}

TEST_F(ConnectionsTest, a_kept_connection_is_dropped_when_its_server_ends_it) {
  ScriptedStream* const stream = keep_one(server);
  const auto record = stream->record();
  stream->end();
  EXPECT_TRUE(record->destroyed);
  EXPECT_EQ(idle(), 0);
  EXPECT_EQ(metrics.server_connections.value(), 0);
  EXPECT_EQ(connections.take_idle(server), nullptr);
}

TEST_F(ConnectionsTest, a_kept_connection_is_dropped_when_it_says_something_unasked_or_breaks) {
  ScriptedStream* const speaks = keep_one(server);
  ScriptedStream* const breaks = keep_one(server);
  speaks->feed("HTTP/1.1 408 Request Timeout\r\n\r\n");
  breaks->reset();
  EXPECT_EQ(connections.take_idle(server), nullptr);
  EXPECT_EQ(metrics.server_connections.value(), 0);
}

TEST_F(ConnectionsTest, an_event_on_a_connection_in_use_does_not_drop_it) {
  auto [connection, stream] = open(server);
  stream->feed("x");
  EXPECT_FALSE(stream->record()->destroyed);
  EXPECT_EQ(metrics.server_connections.value(), 1);
}

TEST_F(ConnectionsTest, what_has_ended_or_broken_or_holds_unread_bytes_is_not_kept) {
  {
    auto [connection, stream] = open(server);
    stream->end();
    connections.keep(std::move(connection), keepalive);
  }
  {
    auto [connection, stream] = open(server);
    stream->reset();
    connections.keep(std::move(connection), keepalive);
  }
  {
    auto [connection, stream] = open(server);
    stream->feed("unasked");
    connections.keep(std::move(connection), keepalive);
  }
  EXPECT_EQ(connections.take_idle(server), nullptr);
  EXPECT_EQ(metrics.server_connections.value(), 0);
}

// As the body of a response is read: no byte beyond its end, so that only another read could tell that nothing follows.
TEST_F(ConnectionsTest, a_connection_read_to_the_last_byte_exactly_is_kept) {
  auto [connection, stream] = open(server);
  stream->feed("0123456789");
  char body[10];
  ASSERT_EQ(stream->read(body).value(), 10U);
  ASSERT_TRUE(stream->is_readable());
  connections.keep(std::move(connection), keepalive);
  EXPECT_NE(connections.take_idle(server), nullptr);
}

TEST_F(ConnectionsTest, no_more_are_kept_than_the_limit_for_each_server) {
  for (int i = 0; i < 5; ++i) keep_one(server);
  keep_one(other);
  EXPECT_EQ(idle(), 4);
  EXPECT_EQ(metrics.server_connections.value(), 4);
}

TEST_F(ConnectionsTest, what_was_idle_too_long_is_closed_within_a_second) {
  const auto first = keep_one(server)->record();
  turn(scheduler, at_ms(6000));
  const auto second = keep_one(server)->record();
  turn(scheduler, at_ms(10'900));
  EXPECT_FALSE(first->destroyed);
  for (std::int64_t now = 11'000; now <= 12'000; now += 100) turn(scheduler, at_ms(now));
  EXPECT_TRUE(first->destroyed);
  EXPECT_FALSE(second->destroyed);
  for (std::int64_t now = 12'000; now <= 17'000; now += 100) turn(scheduler, at_ms(now));
  EXPECT_TRUE(second->destroyed);
  EXPECT_EQ(idle(), 0);
  EXPECT_EQ(scheduler.timers().next(), never) << "nothing is swept when nothing is kept";
}

TEST_F(ConnectionsTest, a_short_timeout_is_kept_behind_a_connection_with_a_long_one) {
  keepalive.idle_timeout = 100s;
  const auto long_kept = keep_one(other)->record();
  keepalive.idle_timeout = 5s;
  const auto short_kept = keep_one(server)->record();
  for (std::int64_t now = 1000; now <= 7100; now += 100) turn(scheduler, at_ms(now));
  EXPECT_TRUE(short_kept->destroyed);
  EXPECT_FALSE(long_kept->destroyed);
}

TEST_F(ConnectionsTest, a_connection_taken_and_kept_again_gets_its_whole_time) {
  const auto record = keep_one(server)->record();
  turn(scheduler, at_ms(9000));
  auto taken = connections.take_idle(server);
  ASSERT_NE(taken, nullptr);
  connections.keep(std::move(taken), keepalive);
  for (std::int64_t now = 9000; now <= 18'900; now += 100) turn(scheduler, at_ms(now));
  EXPECT_FALSE(record->destroyed);
}

TEST_F(ConnectionsTest, closing_idle_ones_leaves_those_in_use) {
  auto [connection, stream] = open(server);
  const auto kept = keep_one(server)->record();
  connections.close_idle();
  EXPECT_TRUE(kept->destroyed);
  EXPECT_FALSE(stream->record()->destroyed);
  EXPECT_EQ(idle(), 0);
}

Task<void> connect(Connections& connections, Server& server, std::optional<Result<ServerConnectionPtr>>& into) {
  into = co_await connections.connect(server);
}

TEST_F(ConnectionsTest, connecting_waits_until_it_is_decided) {
  std::optional<Result<ServerConnectionPtr>> result;
  Line line(scheduler);
  line.fiber.start(connect(connections, server, result));
  EXPECT_EQ(connector.connected_to, std::vector{server.address});
  EXPECT_FALSE(result);
  connector.newest->connect();
  ASSERT_TRUE(result);
  ASSERT_TRUE(result->has_value());
  EXPECT_FALSE((**result)->reused());
  EXPECT_EQ(metrics.server_connections_opened.value(), 1U);
}

TEST_F(ConnectionsTest, a_refused_connect_may_be_tried_anywhere) {
  std::optional<Result<ServerConnectionPtr>> result;
  Line line(scheduler);
  line.fiber.start(connect(connections, server, result));
  connector.newest->fail_to_connect(ErrorKind::refused);
  ASSERT_TRUE(result && !result->has_value());
  EXPECT_EQ(result->error().kind, ErrorKind::refused);
  EXPECT_EQ(result->error().side, Side::server);
  EXPECT_EQ(result->error().retry, Retry::any);
  EXPECT_EQ(metrics.server_connections.value(), 0);
  EXPECT_EQ(metrics.server_connections_failed.value(), 1U);
}

TEST_F(ConnectionsTest, a_connect_that_fails_at_once_may_be_tried_anywhere) {
  connector.failure = ErrorKind::unreachable;
  std::optional<Result<ServerConnectionPtr>> result;
  Line line(scheduler);
  line.fiber.start(connect(connections, server, result));
  ASSERT_TRUE(result && !result->has_value());
  EXPECT_EQ(result->error().kind, ErrorKind::unreachable);
  EXPECT_EQ(result->error().side, Side::server);
  EXPECT_EQ(result->error().retry, Retry::any);
}

TEST_F(ConnectionsTest, the_fibers_deadline_bounds_a_connect) {
  std::optional<Result<ServerConnectionPtr>> result;
  Line line(scheduler);
  line.fiber.set_deadline(at_ms(1500));
  line.fiber.start(connect(connections, server, result));
  const auto record = connector.newest->record();
  turn(scheduler, at_ms(1500));
  ASSERT_TRUE(result && !result->has_value());
  EXPECT_EQ(result->error().kind, ErrorKind::timed_out);
  EXPECT_EQ(result->error().retry, Retry::any);
  EXPECT_TRUE(record->destroyed);
}

TEST_F(ConnectionsTest, a_connect_cancelled_for_the_client_is_not_tried_again) {
  std::optional<Result<ServerConnectionPtr>> result;
  Line line(scheduler);
  line.fiber.start(connect(connections, server, result));
  line.fiber.cancel(Cause::client_gone);
  turn(scheduler);
  ASSERT_TRUE(result && !result->has_value());
  EXPECT_EQ(result->error().kind, ErrorKind::cancelled);
  EXPECT_EQ(result->error().retry, Retry::never);
}

}  // namespace connections_test
}  // namespace steelyard
