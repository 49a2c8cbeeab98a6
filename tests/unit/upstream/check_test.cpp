// One health check over a scripted connection: what it sends, and how each of its phases ends.
#include "upstream/check.hpp"

#include <gtest/gtest.h>

#include "support/line.hpp"
#include "support/scripted_stream.hpp"

namespace steelyard {
namespace check_test {

using testing_support::at_ms;
using testing_support::Line;
using testing_support::ScriptedStream;
using testing_support::turn;
using Kind = CheckVerdict::Kind;

struct CheckTest : ::testing::Test {
  class OneConnector final : public Connector {
   public:
    explicit OneConnector(Scheduler& of) : scheduler_(of) {}
    Result<std::unique_ptr<Stream>> connect(const SocketAddress& to) override {
      EXPECT_EQ(to, *SocketAddress::parse("127.0.0.1:81"));
      if (failure) return fail(*failure);
      auto made = std::make_unique<ScriptedStream>(ScriptedStream::Start::connecting);
      made->room = room;
      stream = made.get();
      record = made->record();
      return made;
    }
    Scheduler& scheduler() override { return scheduler_; }
    void post(std::function<void()> work) override { work(); }

    std::optional<ErrorKind> failure;
    std::size_t room = 10'000;
    ScriptedStream* stream = nullptr;  // as long as the check lasts
    std::shared_ptr<ScriptedStream::Record> record;

   private:
    Scheduler& scheduler_;
  };

  static Task<void> run(const ServerCheck& check, Connector& connector, std::optional<CheckVerdict>& into) {
    into = co_await check.run(connector);
  }
  void start() {
    check.emplace(options, server);
    line.fiber.start(run(*check, connector, verdict));
  }
  // What is sent to a server that accepts at once.
  std::string request() {
    start();
    connector.stream->connect();
    const std::string sent = connector.record->sent;
    connector.stream->end();
    return sent;
  }
  void expect(Kind kind, std::string_view reason) {
    ASSERT_TRUE(verdict);
    EXPECT_EQ(verdict->kind, kind);
    EXPECT_EQ(verdict->reason, reason);
    if (connector.record) {
      EXPECT_TRUE(connector.record->destroyed) << "the connection is closed";
    }
  }

  Scheduler scheduler{at_ms(1000)};
  OneConnector connector{scheduler};
  ServerOptions named() {
    ServerOptions described;
    described.id = "a";
    described.host = "backend.internal";
    described.port = 81;
    return described;
  }
  Server server{named(), *SocketAddress::parse("127.0.0.1:81"), active_unlimited, 1};
  HealthOptions options;
  std::optional<ServerCheck> check;
  std::optional<CheckVerdict> verdict;
  Line line{scheduler};
};

TEST_F(CheckTest, asks_for_its_path_on_a_connection_that_it_will_not_keep) {
  EXPECT_EQ(request(), "GET /health HTTP/1.1\r\nHost: backend.internal:81\r\nUser-Agent: steelyard-health\r\nConnection: close\r\n\r\n");
}

TEST_F(CheckTest, takes_method_path_host_and_headers_from_its_options) {
  options.method = "HEAD";
  options.path = "/ready?deep=1";
  options.host = "example.com";
  options.headers = {{"Authorization", "Bearer x"}, {"X-Check", "1"}};
  EXPECT_EQ(request(),
            "HEAD /ready?deep=1 HTTP/1.1\r\nHost: example.com\r\nUser-Agent: steelyard-health\r\nConnection: close\r\n"
            "Authorization: Bearer x\r\nX-Check: 1\r\n\r\n");
}

TEST_F(CheckTest, says_no_field_twice_that_the_options_say) {
  options.headers = {{"user-agent", "me"}, {"HOST", "example.com"}};
  EXPECT_EQ(request(), "GET /health HTTP/1.1\r\nConnection: close\r\nuser-agent: me\r\nHOST: example.com\r\n\r\n");
}

TEST_F(CheckTest, a_method_with_content_says_that_it_has_none) {
  options.method = "POST";
  EXPECT_NE(request().find("\r\nContent-Length: 0\r\n"), std::string::npos);
}

TEST_F(CheckTest, passes_with_the_answer) {
  start();
  connector.stream->connect();
  EXPECT_FALSE(verdict);
  connector.stream->feed("HTTP/1.1 200 OK\r\n\r\n");
  expect(Kind::healthy, "health check passed");
}

TEST_F(CheckTest, sends_its_request_in_pieces_where_there_is_little_room) {
  connector.room = 10;
  start();
  connector.stream->connect();
  EXPECT_EQ(connector.record->sent, "GET /healt");
  connector.stream->make_room(10'000);
  EXPECT_TRUE(connector.record->sent.ends_with("\r\n\r\n"));
  connector.stream->feed("HTTP/1.1 200 OK\r\n\r\n");
  expect(Kind::healthy, "health check passed");
}

TEST_F(CheckTest, by_tcp_an_accepted_connection_is_healthy_and_nothing_is_sent) {
  options.kind = CheckKind::tcp;
  start();
  EXPECT_FALSE(verdict);
  connector.stream->connect();
  expect(Kind::healthy, "connection accepted");
  EXPECT_EQ(connector.record->sent, "");
}

TEST_F(CheckTest, by_tcp_a_refused_connection_is_not) {
  options.kind = CheckKind::tcp;
  start();
  connector.stream->fail_to_connect(ErrorKind::refused);
  expect(Kind::unhealthy, "connection refused");
}

TEST_F(CheckTest, a_connection_that_cannot_be_made_is_told_apart) {
  connector.failure = ErrorKind::unreachable;
  start();
  expect(Kind::unhealthy, "unreachable");
}

TEST_F(CheckTest, a_process_without_descriptors_says_nothing_of_the_server) {
  connector.failure = ErrorKind::resources;
  start();
  expect(Kind::none, "this process has no descriptors, memory or ports left");
}

struct CheckTimeout : CheckTest {
  // The verdict comes two seconds after the beginning, whatever has happened meanwhile, and not before.
  void expire(std::string_view reason) {
    turn(scheduler, at_ms(2999));
    EXPECT_FALSE(verdict);
    turn(scheduler, at_ms(3000));
    expect(Kind::unhealthy, reason);
  }
  void connect_late() {
    start();
    turn(scheduler, at_ms(2000));
    connector.stream->connect();
  }
};

TEST_F(CheckTimeout, ends_connecting) {
  start();
  expire("no connection within 2000 ms");
}

TEST_F(CheckTimeout, ends_sending) {
  connector.room = 10;
  connect_late();
  expire("request not taken within 2000 ms");
}

TEST_F(CheckTimeout, ends_waiting_for_an_answer) {
  connect_late();
  expire("no answer within 2000 ms");
}

TEST_F(CheckTimeout, ends_a_head_that_comes_slowly) {
  connect_late();
  for (std::int64_t now = 2100; now < 3000; now += 100) {
    connector.stream->feed(now == 2100 ? "HTTP/1.1 200 OK\r\nA: " : "x");
    turn(scheduler, at_ms(now));
  }
  expire("head of the answer not complete within 2000 ms");
}

TEST_F(CheckTimeout, ends_a_body_that_comes_slowly) {
  options.body = "ready";
  connect_late();
  connector.stream->feed("HTTP/1.1 200 OK\r\n\r\n");
  for (std::int64_t now = 2100; now < 3000; now += 100) {
    connector.stream->feed("x");
    turn(scheduler, at_ms(now));
  }
  expire("body of the answer not complete within 2000 ms");
}

TEST_F(CheckTimeout, that_comes_far_too_late_says_nothing_of_the_server) {
  connect_late();
  turn(scheduler, at_ms(2999));
  turn(scheduler, at_ms(4500));
  expect(Kind::none, "this process was held up for 1500 ms");
}

TEST_F(CheckTimeout, that_comes_a_little_late_counts) {
  connect_late();
  turn(scheduler, at_ms(3100));
  expect(Kind::unhealthy, "no answer within 2000 ms");
}

TEST_F(CheckTest, cancelling_ends_it_and_closes_its_connection) {
  start();
  connector.stream->connect();
  line.fiber.cancel(Cause::shutdown);
  turn(scheduler);
  EXPECT_TRUE(line.finished);
  EXPECT_TRUE(connector.record->destroyed);
}

}  // namespace check_test
}  // namespace steelyard
