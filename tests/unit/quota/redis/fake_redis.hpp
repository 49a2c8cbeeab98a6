// A server on the test's own loop that reads commands and answers whatever its script says.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "net/epoll_net.hpp"
#include "runtime/child.hpp"
#include "wire/resp/reply_reader.hpp"

namespace steelyard::quota::testing {

using Words = std::vector<std::string>;

// What the script of a real Redis answers to a take that is allowed.
inline std::string grant_text(int remaining = 1) {
  return fmt::format("*7\r\n:1\r\n:{}\r\n:0\r\n:1000\r\n:0\r\n:1000000\r\n:1\r\n", remaining);
}

class FakeRedis {
 public:
  // The bytes that answer, of which there may be none; nothing: the connection is closed.
  using Script = std::function<std::optional<std::string>(const Words&)>;

  explicit FakeRedis(EpollLoop& loop)
      : loop_(loop), listener_(make_listener(loop, *listen_on(*SocketAddress::parse("127.0.0.1:0")))), accepting_(loop.scheduler()) {
    accepting_.start(accept_all());
  }

  [[nodiscard]] SocketAddress address() const { return listener_->local_address(); }
  // Bytes that nobody has asked for, to everybody.
  void say(std::string_view bytes) {
    for (Peer& peer : peers_) {
      if (peer.stream) EXPECT_TRUE(peer.stream->write(bytes));
    }
  }
  // Before the loop ends.
  Task<void> stop() {
    accepting_.cancel(Cause::shutdown);
    co_await accepting_.join();
    for (Peer& peer : peers_) {
      peer.serving->cancel(Cause::shutdown);
      co_await peer.serving->join();
    }
  }

  Script script = [](const Words&) { return grant_text(); };
  int connections = 0;
  std::vector<Words> asked;
  int reads = 0;  // that had any bytes

 private:
  struct Peer {
    std::unique_ptr<Stream> stream;
    std::unique_ptr<Child> serving;
  };

  Task<void> accept_all() {
    for (;;) {
      auto accepted = listener_->accept();
      if (!accepted) {
        const WaitResult waited = co_await listener_->acceptable();
        if (waited != WaitResult::done) co_return;
        continue;
      }
      ++connections;
      Peer& peer = peers_.emplace_back(std::move(accepted->stream), std::make_unique<Child>(loop_.scheduler()));
      peer.serving->start(serve(peer));
    }
  }

  Task<void> serve(Peer& peer) {
    resp::ReplyReader reader;
    std::vector<char> piece(64 * 1024);
    for (;;) {
      const auto got = peer.stream->read(piece);
      if (got && *got == 0) break;
      if (!got && got.error().kind != ErrorKind::would_block) break;
      if (!got) {
        const WaitResult waited = co_await peer.stream->readable();
        if (waited != WaitResult::done) break;
        continue;
      }
      ++reads;
      reader.feed({piece.data(), *got});
      if (!answer_all(reader, *peer.stream)) break;
    }
    peer.stream.reset();
  }

  bool answer_all(resp::ReplyReader& reader, Stream& stream) {
    for (auto command = reader.next(); command && *command; command = reader.next()) {
      Words words;
      for (const resp::Reply& word : (*command)->items) words.push_back(word.text);
      if (words == Words{"PING"}) {  // with which each connection begins
        EXPECT_TRUE(stream.write(std::string_view("+PONG\r\n")));
        continue;
      }
      asked.push_back(words);
      const auto answer = script(words);
      if (!answer) return false;
      if (!answer->empty()) EXPECT_TRUE(stream.write(*answer));
    }
    return true;
  }

  EpollLoop& loop_;
  std::unique_ptr<Listener> listener_;
  std::list<Peer> peers_;
  Child accepting_;
};

}  // namespace steelyard::quota::testing
