// Real sockets on loopback: every byte arrives, every end is seen, nobody waits for an event that does not come.
#include "net/epoll_net.hpp"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/prng.hpp"
#include "runtime/child.hpp"
#include "support/line.hpp"

namespace steelyard {
namespace epoll_net_test {

using testing_support::Line;

SocketAddress loopback() { return *SocketAddress::parse("127.0.0.1:0"); }

// Runs `work` on a loop until it has returned. A wait that never ends is cut, and seen, by a deadline far beyond what any needs.
struct EpollNetTest : ::testing::Test {
  EpollLoop loop;
  EpollConnector connector{loop};
  std::unique_ptr<Listener> listener = make_listener(loop, *listen_on(loopback()));

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

  // Two ends of one connection.
  Task<void> connect(std::unique_ptr<Stream>& client, std::unique_ptr<Stream>& server) {
    auto connecting = connector.connect(listener->local_address());
    EXPECT_TRUE(connecting);
    client = std::move(*connecting);
    EXPECT_EQ(co_await client->writable(), WaitResult::done);
    EXPECT_TRUE(client->connect_result());
    auto accepted = listener->accept();
    while (!accepted) {
      EXPECT_EQ(accepted.error().kind, ErrorKind::would_block);
      if (co_await listener->acceptable() != WaitResult::done) co_return;
      accepted = listener->accept();
    }
    EXPECT_EQ(accepted->peer, local_address_of(client->descriptor()));
    server = std::move(accepted->stream);
  }
};

char byte_at(std::size_t i) { return static_cast<char>(i * 2654435761U >> 13U); }

Task<void> send_all(Stream& to, std::size_t total, std::uint64_t seed) {
  Prng prng(seed);
  std::string piece;
  for (std::size_t sent = 0; sent < total;) {
    piece.resize(std::min<std::size_t>(total - sent, 1 + prng.below(300'000)));
    for (std::size_t i = 0; i < piece.size(); ++i) piece[i] = byte_at(sent + i);
    const auto took = to.write(piece);
    if (took) {
      sent += *took;
      continue;
    }
    EXPECT_EQ(took.error().kind, ErrorKind::would_block);
    if (co_await to.writable() != WaitResult::done) co_return;
  }
  to.shutdown_write();
}

Task<void> receive_all(Stream& from, std::size_t& total, std::uint64_t seed) {
  Prng prng(seed);
  std::string memory(400'000, '\0');
  for (;;) {
    const auto got = from.read(std::span(memory.data(), 1 + prng.below(memory.size())));
    if (got && *got == 0) co_return;
    if (got) {
      for (std::size_t i = 0; i < *got; ++i) {
        if (memory[i] != byte_at(total + i)) {
          ADD_FAILURE() << "another byte at " << total + i;
          co_return;
        }
      }
      total += *got;
    } else if (got.error().kind != ErrorKind::would_block) {
      ADD_FAILURE() << "failed with " << got.error().os_code;
      co_return;
    } else if (co_await from.readable() != WaitResult::done) {
      ADD_FAILURE() << "waited for an event that did not come";
      co_return;
    }
  }
}

TEST_F(EpollNetTest, every_byte_arrives_both_ways_at_once_and_then_the_end) {
  run([this]() -> Task<void> {
    std::unique_ptr<Stream> client;
    std::unique_ptr<Stream> server;
    co_await connect(client, server);
    constexpr std::size_t total = 8'000'000;
    std::size_t up = 0;
    std::size_t down = 0;
    Child sends_up(loop.scheduler());
    Child sends_down(loop.scheduler());
    Child receives_up(loop.scheduler());
    sends_up.start(send_all(*client, total, 1));
    sends_down.start(send_all(*server, total, 2));
    receives_up.start(receive_all(*server, up, 3));
    co_await receive_all(*client, down, 4);
    co_await receives_up.join();
    co_await sends_up.join();
    co_await sends_down.join();
    EXPECT_EQ(up, total);
    EXPECT_EQ(down, total);
  });
}

TEST_F(EpollNetTest, a_refused_connect_is_decided_and_named) {
  const int descriptor = *listen_on(loopback());
  const SocketAddress nobody = local_address_of(descriptor);
  close(descriptor);
  run([&]() -> Task<void> {
    auto stream = connector.connect(nobody);
    if (!stream) {
      EXPECT_EQ(stream.error().kind, ErrorKind::refused);
      co_return;
    }
    EXPECT_EQ(co_await (*stream)->writable(), WaitResult::done);
    const auto result = (*stream)->connect_result();
    EXPECT_TRUE(!result && result.error().kind == ErrorKind::refused);
    EXPECT_EQ(result.error().os_code, ECONNREFUSED);
  });
}

TEST_F(EpollNetTest, bytes_and_the_end_that_come_in_one_event_are_both_read) {
  run([this]() -> Task<void> {
    std::unique_ptr<Stream> client;
    std::unique_ptr<Stream> server;
    co_await connect(client, server);
    const std::string text = "last words";
    EXPECT_EQ(client->write(text).value(), text.size());
    client->shutdown_write();
    char memory[64];
    std::string received;
    for (;;) {
      EXPECT_EQ(co_await server->readable(), WaitResult::done);
      const auto got = server->read(memory);
      if (got) received.append(memory, *got);
      if (got && *got == 0) break;
      if (!got && got.error().kind != ErrorKind::would_block) break;
    }
    EXPECT_EQ(received, text);
    EXPECT_TRUE(server->peer_ended());
    EXPECT_FALSE(server->broken());
    // The other direction still works.
    EXPECT_TRUE(server->write(text));
    EXPECT_EQ(co_await client->readable(), WaitResult::done);
    EXPECT_EQ(client->read(memory).value(), text.size());
  });
}

TEST_F(EpollNetTest, a_reset_is_seen_as_one) {
  run([this]() -> Task<void> {
    std::unique_ptr<Stream> client;
    std::unique_ptr<Stream> server;
    co_await connect(client, server);
    client->reset_on_close();
    client.reset();
    server->watch();
    co_await yield_turn();
    co_await yield_turn();
    EXPECT_TRUE(server->broken());
    char memory[8];
    EXPECT_EQ(server->read(memory).error().kind, ErrorKind::reset);
    EXPECT_EQ(server->write(memory).error().kind, ErrorKind::reset);
  });
}

TEST_F(EpollNetTest, what_nobody_waits_for_is_told_to_the_observer_who_may_destroy_the_stream) {
  struct Observer final : StreamObserver {
    std::unique_ptr<Stream> watched;
    EpollLoop* loop = nullptr;
    void on_unawaited_event(Stream& stream) override {
      EXPECT_TRUE(stream.peer_ended());
      watched.reset();
      loop->stop();
    }
  } observer;
  observer.loop = &loop;
  std::unique_ptr<Stream> client;
  auto open = [&]() -> Task<void> {
    co_await connect(client, observer.watched);
    char memory[8];
    EXPECT_EQ(observer.watched->read(memory).error().kind, ErrorKind::would_block);
    // Nobody waits on it, so it must be said that its events matter. That it is writable is not the observer's.
    observer.watched->observe(&observer);
    observer.watched->watch();
    co_await yield_turn();
    co_await yield_turn();
    client.reset();
  };
  Line line(loop.scheduler());
  line.fiber.start(open());
  loop.run();
  EXPECT_EQ(observer.watched, nullptr);
}

TEST_F(EpollNetTest, a_stream_destroyed_with_its_fiber_in_its_own_event_is_not_touched_again) {
  std::unique_ptr<Stream> client;
  std::unique_ptr<Stream> server;
  auto open = [&]() -> Task<void> {
    co_await connect(client, server);
    server->shutdown_write();
    EXPECT_EQ(co_await client->readable(), WaitResult::done);
    client.reset();  // within the delivery of its event
    loop.stop();
  };
  Line line(loop.scheduler());
  line.fiber.start(open());
  loop.run();
  EXPECT_TRUE(line.finished);
}

TEST_F(EpollNetTest, accepting_takes_all_that_wait_on_one_event) {
  run([this]() -> Task<void> {
    std::vector<std::unique_ptr<Stream>> clients;
    for (int i = 0; i < 20; ++i) {
      clients.push_back(std::move(*connector.connect(listener->local_address())));
      EXPECT_EQ(co_await clients.back()->writable(), WaitResult::done);
    }
    int accepted = 0;
    while (accepted < 20) {
      if (listener->accept()) {
        ++accepted;
      } else if (co_await listener->acceptable() != WaitResult::done) {
        break;
      }
    }
    EXPECT_EQ(accepted, 20);
    EXPECT_EQ(listener->accept().error().kind, ErrorKind::would_block);
  });
}

TEST_F(EpollNetTest, waiting_for_a_stream_ends_at_the_deadline_and_the_stream_can_be_awaited_again) {
  run([this]() -> Task<void> {
    std::unique_ptr<Stream> client;
    std::unique_ptr<Stream> server;
    co_await connect(client, server);
    Fiber& fiber = co_await this_fiber();
    fiber.set_deadline(loop.scheduler().now() + 5ms);
    char memory[8];
    EXPECT_EQ(server->read(memory).error().kind, ErrorKind::would_block);
    while (co_await server->readable() == WaitResult::done) EXPECT_EQ(server->read(memory).error().kind, ErrorKind::would_block);
    fiber.set_deadline(loop.scheduler().now() + 20s);
    EXPECT_TRUE(client->write(std::span<const char>("x", 1)));
    EXPECT_EQ(co_await server->readable(), WaitResult::done);
    EXPECT_EQ(server->read(memory).value(), 1U);
  });
}

TEST(ListenOn, several_may_listen_on_one_port_but_a_stranger_is_noticed) {
  const int first = *listen_on(loopback());
  const SocketAddress address = local_address_of(first);
  const auto second = listen_on(address);
  EXPECT_TRUE(second);
  EXPECT_EQ(exclusive_bind_error(address), EADDRINUSE);
  close(first);
  if (second) close(*second);
  EXPECT_EQ(exclusive_bind_error(address), std::nullopt);
}

TEST(ListenOn, an_address_that_is_not_ours_is_an_error) {
  const auto failed = listen_on(*SocketAddress::parse("192.0.2.1:0"));
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().os_code, EADDRNOTAVAIL);
}

}  // namespace epoll_net_test
}  // namespace steelyard
