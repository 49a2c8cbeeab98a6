// A real redis-server on a free port of loopback, without disk, and a client that waits for each answer.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/epoll_net.hpp"
#include "net/sockaddr.hpp"
#include "support/child_process.hpp"
#include "wire/resp/command.hpp"
#include "wire/resp/reply_reader.hpp"

namespace steelyard::testing_support {

inline SocketAddress on_loopback(std::uint16_t port) { return {*IpAddress::parse("127.0.0.1"), port}; }

// Free at this moment.
inline SocketAddress free_address() {
  const int descriptor = *listen_on(on_loopback(0));
  const SocketAddress address = local_address_of(descriptor);
  close(descriptor);
  return address;
}

// Asks and waits; an error where nobody answers.
inline resp::Reply ask_redis(const SocketAddress& at, std::initializer_list<std::string_view> words) {
  const resp::Reply failure{.kind = resp::Reply::Kind::error, .text = "no answer"};
  const int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval patience{.tv_sec = 10, .tv_usec = 0};
  setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  sockaddr_storage address{};
  const socklen_t size = to_sockaddr(at, address);
  const std::string command = resp::command(words);
  resp::ReplyReader reader;
  auto reply = reader.next();
  if (connect(descriptor, reinterpret_cast<const sockaddr*>(&address), size) == 0 &&
      send(descriptor, command.data(), command.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(command.size())) {
    char piece[4096];
    for (ssize_t got = 0; reply && !*reply && (got = recv(descriptor, piece, sizeof piece, 0)) > 0; reply = reader.next()) {
      reader.feed({piece, static_cast<std::size_t>(got)});
    }
  }
  close(descriptor);
  return reply && *reply ? **reply : failure;
}

class RedisServer {
 public:
  explicit RedisServer(std::vector<std::string> more = {}) : more_(std::move(more)) {
    for (int i = 0; i < 5 && !process_; ++i) {
      address_ = free_address();
      start();
    }
    EXPECT_TRUE(process_) << "redis-server does not start";
  }

  [[nodiscard]] const SocketAddress& address() const { return address_; }
  resp::Reply ask(std::initializer_list<std::string_view> words) const { return ask_redis(address_, words); }
  void send(int signal) const { process_->send(signal); }
  // Says so in its log.
  bool wait_for(std::string_view event) { return process_->wait_for_output(event); }
  void kill() { process_.reset(); }
  void start() {
    std::vector<std::string> command{"redis-server", "--bind", "127.0.0.1", "--port", std::to_string(address_.port), "--save", "",
                                     "--appendonly", "no",     "--dir",     "/tmp",   "--repl-diskless-load",        "swapdb"};
    command.insert(command.end(), more_.begin(), more_.end());
    process_ = std::make_unique<ChildProcess>(std::move(command));
    if (!process_->wait_for_output("Ready to accept connections")) process_.reset();
  }

 private:
  std::vector<std::string> more_;
  SocketAddress address_;
  std::unique_ptr<ChildProcess> process_;
};

}  // namespace steelyard::testing_support

#define SKIP_WITHOUT(program) \
  if (!::steelyard::testing_support::is_installed(program)) GTEST_SKIP() << program << " is not installed"
