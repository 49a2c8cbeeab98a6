// Relaying a body: complete and in order, with back-pressure, within its bounds, and every failure on its side. The way through
// the kernel goes over real sockets.
#include "proxy/relay.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <functional>
#include <string>

#include "net/epoll_net.hpp"
#include "runtime/child.hpp"
#include "session/options.hpp"
#include "support/line.hpp"
#include "support/scripted_exchange.hpp"

namespace steelyard {
namespace relay_test {

using http::BodyKind;
using testing_support::at_ms;
using testing_support::Line;
using testing_support::ScriptedExchange;
using testing_support::ScriptedStream;
using testing_support::turn;

Task<void> relay(BodyReader& from, StreamWriter& to, Coding coding, RelayTools tools, RelayBounds bounds, Exchange* client,
                 std::optional<Result<void>>& into) {
  into = co_await relay_body(from, to, coding, tools, bounds, client);
}

// What had been sent when it was told that the last bytes come.
class EndNoted final : public BeforeEnd {
 public:
  explicit EndNoted(StreamWriter& writer) : writer_(writer) {}
  void on_last_bytes() override { sent_bytes = writer_.sent_bytes(); }
  std::optional<std::uint64_t> sent_bytes;

 private:
  StreamWriter& writer_;
};

struct RelayTest : ::testing::Test {
  Scheduler scheduler{at_ms(0)};
  Line line{scheduler};
  Scratch scratch;
  Pipes pipes;
  ScriptedStream from;
  ScriptedStream to;
  StreamWriter writer{to, Side::client};
  RelayBounds bounds{10s, never, unlimited};
  std::optional<Result<void>> end;

  void start(BodyReader& body, Coding coding, Exchange* client = nullptr) {
    line.fiber.start(relay(body, writer, coding, {scratch, pipes}, bounds, client, end));
  }
  void expect_failure(ErrorKind kind, Side side) {
    ASSERT_TRUE(end);
    ASSERT_FALSE(*end);
    EXPECT_EQ(end->error().kind, kind);
    EXPECT_EQ(end->error().side, side);
  }
  const std::string& sent() { return to.record()->sent; }
};

TEST_F(RelayTest, a_known_length_passes_plain) {
  BodyReader body(from, {BodyKind::length, 10}, Side::server);
  start(body, Coding::plain);
  from.feed("01234");
  turn(scheduler);
  EXPECT_EQ(sent(), "01234");
  from.feed("56789HTTP/1.1");
  turn(scheduler);
  EXPECT_EQ(sent(), "0123456789");
  EXPECT_TRUE(end && *end);
}

TEST_F(RelayTest, an_end_of_unknown_length_becomes_a_last_chunk) {
  BodyReader body(from, {BodyKind::until_close, 0}, Side::server);
  start(body, Coding::chunked);
  from.feed("hello");
  turn(scheduler);
  from.end();
  turn(scheduler);
  EXPECT_EQ(sent(), "5\r\nhello\r\n0\r\n\r\n");
  EXPECT_TRUE(end && *end);
}

TEST_F(RelayTest, chunks_are_taken_apart_and_made_anew_with_their_trailers) {
  BodyReader body(from, {BodyKind::chunked, 0}, Side::server);
  start(body, Coding::chunked);
  from.feed("2;ext=1\r\nab\r\n1\r\nc\r\n");
  turn(scheduler);
  EXPECT_EQ(sent(), "3\r\nabc\r\n");
  from.feed("0\r\nX-Sum: 9\r\n\r\n");
  turn(scheduler);
  EXPECT_EQ(sent(), "3\r\nabc\r\n0\r\nX-Sum: 9\r\n\r\n");
  EXPECT_TRUE(end && *end);
}

TEST_F(RelayTest, the_last_bytes_are_announced_before_they_are_sent) {
  for (const Coding coding : {Coding::plain, Coding::chunked}) {
    BodyReader body(from, {coding == Coding::plain ? BodyKind::length : BodyKind::chunked, 10}, Side::server);
    EndNoted noted(writer);
    bounds.before_end = &noted;
    end.reset();
    start(body, coding);
    from.feed(coding == Coding::plain ? "01234" : "5\r\n01234\r\n");
    turn(scheduler);
    EXPECT_FALSE(noted.sent_bytes);
    const std::uint64_t before = writer.sent_bytes();
    from.feed(coding == Coding::plain ? "56789" : "0\r\n\r\n");
    turn(scheduler);
    EXPECT_TRUE(end && *end);
    EXPECT_EQ(noted.sent_bytes, before);
  }
}

TEST_F(RelayTest, control_bytes_of_the_coding_alone_end_no_body) {
  BodyReader body(from, {BodyKind::chunked, 0}, Side::server);
  start(body, Coding::chunked);
  from.feed("5");
  turn(scheduler);
  from.feed("\r\n");
  turn(scheduler);
  EXPECT_EQ(sent(), "");
  from.feed("hello\r\n0\r\n\r\n");
  turn(scheduler);
  EXPECT_EQ(sent(), "5\r\nhello\r\n0\r\n\r\n");
}

TEST_F(RelayTest, what_a_client_sent_beyond_its_body_is_handed_over) {
  ScriptedExchange exchange(line.fiber, from, {BodyKind::chunked, 0});
  start(exchange.body, Coding::chunked, &exchange);
  from.feed("1\r\nx\r\n0\r\n\r\nGET /next");
  turn(scheduler);
  EXPECT_TRUE(end && *end);
  EXPECT_EQ(exchange.leftover, "GET /next");
}

TEST_F(RelayTest, nothing_more_is_read_while_the_receiver_does_not_take) {
  BodyReader body(from, {BodyKind::length, 2'000'000}, Side::server);
  to.room = 10;
  start(body, Coding::plain);
  for (int i = 0; i < 20; ++i) {
    from.feed(std::string(100'000, static_cast<char>('a' + i)));
    turn(scheduler);
  }
  EXPECT_EQ(sent().size(), 10U);
  EXPECT_LE(body.payload_bytes(), Scratch::data_bytes);
  while (!end) {
    to.make_room(77'777);
    turn(scheduler);
  }
  EXPECT_TRUE(*end);
  ASSERT_EQ(sent().size(), 2'000'000U);
  for (std::size_t i = 0; i < 20; ++i) EXPECT_EQ(sent()[i * 100'000 + 50'000], static_cast<char>('a' + i));
}

TEST_F(RelayTest, a_body_cut_short_is_the_failure_of_who_sent_it) {
  BodyReader body(from, {BodyKind::length, 10}, Side::server);
  start(body, Coding::plain);
  from.feed_and_end("0123");
  turn(scheduler);
  expect_failure(ErrorKind::closed, Side::server);
}

TEST_F(RelayTest, a_receiver_that_resets_is_its_own_failure) {
  BodyReader body(from, {BodyKind::length, 10}, Side::server);
  to.room = 1;
  start(body, Coding::plain);
  from.feed("0123");
  turn(scheduler);
  to.reset();
  turn(scheduler);
  expect_failure(ErrorKind::reset, Side::client);
}

TEST_F(RelayTest, a_sender_that_stalls_times_out_counted_from_its_last_byte) {
  BodyReader body(from, {BodyKind::length, 10}, Side::server);
  start(body, Coding::plain);
  turn(scheduler, at_ms(9000));
  from.feed("0");
  turn(scheduler, at_ms(18'999));
  EXPECT_FALSE(end);
  turn(scheduler, at_ms(19'000));
  expect_failure(ErrorKind::timed_out, Side::server);
}

TEST_F(RelayTest, a_receiver_that_stalls_times_out_on_its_side) {
  BodyReader body(from, {BodyKind::length, 10}, Side::server);
  to.room = 0;
  start(body, Coding::plain);
  from.feed("0123456789");
  turn(scheduler, at_ms(10'000));
  expect_failure(ErrorKind::timed_out, Side::client);
}

TEST_F(RelayTest, the_deadline_of_the_whole_exchange_holds_although_bytes_move) {
  bounds.total_deadline = at_ms(3000);
  BodyReader body(from, {BodyKind::length, 10}, Side::server);
  start(body, Coding::plain);
  for (std::int64_t now = 1000; now < 3000; now += 500) {
    turn(scheduler, at_ms(now));
    from.feed("x");
  }
  EXPECT_FALSE(end);
  turn(scheduler, at_ms(3000));
  expect_failure(ErrorKind::timed_out, Side::server);
}

TEST_F(RelayTest, a_chunked_upload_may_not_exceed_its_bound) {
  bounds.body_bytes_max = 4;
  ScriptedExchange exchange(line.fiber, from, {BodyKind::chunked, 0});
  start(exchange.body, Coding::chunked, &exchange);
  from.feed("4\r\nabcd\r\n");
  turn(scheduler);
  EXPECT_FALSE(end);
  from.feed("1\r\ne\r\n");
  turn(scheduler);
  expect_failure(ErrorKind::too_large, Side::client);
}

TEST_F(RelayTest, cancelling_ends_it_wherever_it_waits) {
  BodyReader body(from, {BodyKind::length, 10}, Side::server);
  start(body, Coding::plain);
  line.fiber.cancel(Cause::client_gone);
  turn(scheduler);
  ASSERT_TRUE(end && !*end);
  EXPECT_EQ(end->error().kind, ErrorKind::cancelled);
}

TEST_F(RelayTest, a_body_that_never_makes_it_wait_lets_others_have_their_turn) {
  BodyReader body(from, {BodyKind::length, 5'000'000}, Side::server);
  from.slip_in(std::string(5'000'000, 'x'));
  from.feed("");
  start(body, Coding::plain);
  EXPECT_FALSE(end);
  EXPECT_LT(sent().size(), 2'000'000U);
  turn(scheduler);
  EXPECT_TRUE(end && *end);
  EXPECT_EQ(sent().size(), 5'000'000U);
}

// A body through the kernel, between two pairs of sockets: test → source ⇒ relay ⇒ target → test.
class SpliceTest : public ::testing::Test {
 protected:
  static char byte_at(std::size_t i) { return static_cast<char>(i * 2654435761U >> 15U); }

  SpliceTest() { std::signal(SIGPIPE, SIG_IGN); }

  Task<void> connect(std::unique_ptr<Stream>& near, std::unique_ptr<Stream>& far) {
    near = std::move(*connector.connect(listener->local_address()));
    EXPECT_EQ(co_await near->writable(), WaitResult::done);
    while (!far) {
      auto accepted = listener->accept();
      if (accepted) {
        far = std::move(accepted->stream);
      } else if (co_await listener->acceptable() != WaitResult::done) {
        co_return;
      }
    }
  }

  static Task<void> feed(Stream& stream, std::size_t total) {
    std::string piece;
    for (std::size_t sent = 0; sent < total;) {
      piece.resize(std::min<std::size_t>(total - sent, 150'001));
      for (std::size_t i = 0; i < piece.size(); ++i) piece[i] = byte_at(sent + i);
      const auto took = stream.write(piece);
      if (took) sent += *took;
      if (!took && (took.error().kind != ErrorKind::would_block || co_await stream.writable() != WaitResult::done)) co_return;
    }
  }

  static Task<void> collect(Stream& stream, std::size_t wanted, std::size_t& total) {
    std::string memory(300'000, '\0');
    while (total < wanted) {
      const auto got = stream.read(memory);
      if (got && *got == 0) co_return;
      for (std::size_t i = 0; got && i < *got; ++i) {
        if (memory[i] == byte_at(total + i)) continue;
        ADD_FAILURE() << "another byte at " << total + i;
        co_return;
      }
      if (got) total += *got;
      if (!got && (got.error().kind != ErrorKind::would_block || co_await stream.readable() != WaitResult::done)) co_return;
    }
  }

  void run(std::function<Task<void>()> work) {
    auto then_stop = [](EpollLoop& of, std::function<Task<void>()>& inner) -> Task<void> {
      co_await inner();
      of.stop();
    };
    Line line(loop.scheduler());
    line.fiber.set_deadline(loop.scheduler().now() + 20s);
    line.fiber.start(then_stop(loop, work));
    loop.run();
    EXPECT_TRUE(line.finished);
  }

  EpollLoop loop;
  EpollConnector connector{loop};
  std::unique_ptr<Listener> listener = make_listener(loop, *listen_on(*SocketAddress::parse("127.0.0.1:0")));
  Scratch scratch;
  Pipes pipes;
  RelayBounds bounds{10s, never, unlimited};
  std::unique_ptr<Stream> source, source_far, target, target_far;
};

TEST_F(SpliceTest, a_long_body_arrives_byte_for_byte_and_leaves_the_pipe_for_the_next) {
  run([this]() -> Task<void> {
    constexpr std::size_t length = 6'000'000;
    std::ranges::fill(scratch.data(), '#');
    co_await connect(source_far, source);
    co_await connect(target, target_far);
    for (int round = 0; round < 2; ++round) {
      BodyReader body(*source, {BodyKind::length, length}, Side::server);
      StreamWriter writer(*target, Side::client);
      std::size_t total = 0;
      Child feeding(loop.scheduler());
      Child collecting(loop.scheduler());
      feeding.start(feed(*source_far, length));
      collecting.start(collect(*target_far, length, total));
      const auto result = co_await relay_body(body, writer, Coding::plain, {scratch, pipes}, bounds, nullptr);
      EXPECT_TRUE(result);
      co_await feeding.join();
      co_await collecting.join();
      EXPECT_EQ(total, length);
      EXPECT_EQ(writer.sent_bytes(), length);
      EXPECT_TRUE(body.done());
    }
    EXPECT_TRUE(std::ranges::all_of(scratch.data(), [](char c) { return c == '#'; })) << "bytes were copied";
    const Pipes::Pipe kept = pipes.take();
    EXPECT_TRUE(kept.open());
    char nothing = 0;
    EXPECT_EQ(read(kept.read_end, &nothing, 1), -1) << "bytes of an exchange were left in a pipe";
    Pipes::close_both(kept);
  });
}

TEST_F(SpliceTest, the_last_bytes_are_announced_before_they_are_sent) {
  run([this]() -> Task<void> {
    constexpr std::size_t length = 6'000'000;
    co_await connect(source_far, source);
    co_await connect(target, target_far);
    BodyReader body(*source, {BodyKind::length, length}, Side::server);
    StreamWriter writer(*target, Side::client);
    EndNoted noted(writer);
    bounds.before_end = &noted;
    std::size_t total = 0;
    Child feeding(loop.scheduler());
    Child collecting(loop.scheduler());
    feeding.start(feed(*source_far, length));
    collecting.start(collect(*target_far, length, total));
    EXPECT_TRUE(co_await relay_body(body, writer, Coding::plain, {scratch, pipes}, bounds, nullptr));
    co_await feeding.join();
    co_await collecting.join();
    EXPECT_TRUE(noted.sent_bytes && *noted.sent_bytes < length && *noted.sent_bytes + Pipes::pipe_bytes >= length);
  });
}

TEST_F(SpliceTest, bytes_of_the_next_message_stay_in_the_socket) {
  run([this]() -> Task<void> {
    constexpr std::size_t length = 400'000;
    co_await connect(source_far, source);
    co_await connect(target, target_far);
    BodyReader body(*source, {BodyKind::length, length}, Side::server);
    StreamWriter writer(*target, Side::client);
    std::size_t total = 0;
    Child feeding(loop.scheduler());
    Child collecting(loop.scheduler());
    feeding.start(feed(*source_far, length + 100));
    collecting.start(collect(*target_far, length, total));
    EXPECT_TRUE(co_await relay_body(body, writer, Coding::plain, {scratch, pipes}, bounds, nullptr));
    co_await collecting.join();
    co_await feeding.join();
    std::size_t beyond = length;
    co_await collect(*source, length + 100, beyond);
    EXPECT_EQ(beyond, length + 100);
  });
}

TEST_F(SpliceTest, a_server_that_ends_inside_the_body_fails_on_its_side) {
  run([this]() -> Task<void> {
    co_await connect(source_far, source);
    co_await connect(target, target_far);
    BodyReader body(*source, {BodyKind::length, 1'000'000}, Side::server);
    StreamWriter writer(*target, Side::client);
    co_await feed(*source_far, 100'000);
    source_far.reset();
    const auto result = co_await relay_body(body, writer, Coding::plain, {scratch, pipes}, bounds, nullptr);
    EXPECT_TRUE(!result && result.error().kind == ErrorKind::closed && result.error().side == Side::server);
  });
}

TEST_F(SpliceTest, a_client_that_is_gone_fails_on_its_side_and_its_pipe_is_not_used_again) {
  run([this]() -> Task<void> {
    co_await connect(source_far, source);
    co_await connect(target, target_far);
    BodyReader body(*source, {BodyKind::length, 10'000'000}, Side::server);
    StreamWriter writer(*target, Side::client);
    Child feeding(loop.scheduler());
    feeding.start(feed(*source_far, 10'000'000));
    target_far->reset_on_close();
    target_far.reset();
    const auto result = co_await relay_body(body, writer, Coding::plain, {scratch, pipes}, bounds, nullptr);
    EXPECT_TRUE(!result && result.error().side == Side::client);
    feeding.cancel(Cause::sibling_done);
    co_await feeding.join();
    const Pipes::Pipe pipe = pipes.take();
    char nothing = 0;
    EXPECT_EQ(read(pipe.read_end, &nothing, 1), -1) << "bytes of an exchange were left in a pipe";
    Pipes::close_both(pipe);
  });
}

TEST(Pipes, are_kept_for_reuse_and_closed_with_their_owner) {
  int end = -1;
  {
    Pipes pipes;
    const Pipes::Pipe first = pipes.take();
    end = first.read_end;
    pipes.give_back(first);
    const Pipes::Pipe again = pipes.take();
    EXPECT_EQ(again.read_end, first.read_end);
    pipes.give_back(again);
  }
  EXPECT_EQ(fcntl(end, F_GETFD), -1);
}

}  // namespace relay_test
}  // namespace steelyard
