// What the tests of backend/ share: a backend on a thread of its own, and a client on a blocking socket. A receive that takes too long
// fails the test instead of hanging it.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <future>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "backend/backend.hpp"
#include "base/ascii.hpp"

namespace steelyard::backend::test {

// Everything of the backend lives on its thread, from its start to its end.
class RunningBackend {
 public:
  explicit RunningBackend(BackendOptions options = {}) {
    options.port = 0;
    std::promise<std::uint16_t> started;
    auto port = started.get_future();
    thread_ = std::thread([this, options, &started] {
      EpollLoop loop;
      BackendServer server(loop, options);
      EXPECT_TRUE(server.start().has_value());
      loop_ = &loop;
      server_ = &server;
      started.set_value(server.address().port);
      loop.run();
    });
    port_ = port.get();
  }
  ~RunningBackend() { stop(); }

  [[nodiscard]] std::uint16_t port() const { return port_; }
  // Drains and waits for the end.
  void stop() {
    if (!thread_.joinable()) return;
    loop_->post([this] { server_->drain([this] { loop_->stop(); }); });
    thread_.join();
  }
  void begin_to_drain() {
    loop_->post([this] { server_->drain([this] { loop_->stop(); }); });
  }
  void join() { thread_.join(); }

 private:
  std::thread thread_;
  EpollLoop* loop_ = nullptr;
  BackendServer* server_ = nullptr;
  std::uint16_t port_ = 0;
};

struct Response {
  int status = 0;
  std::string head;
  std::string body;
  bool complete = false;

  [[nodiscard]] std::optional<std::string> field(std::string_view name) const {
    for (std::size_t at = head.find("\r\n"); at != std::string::npos; at = head.find("\r\n", at + 2)) {
      const std::size_t colon = head.find(':', at + 2);
      if (colon == std::string::npos) break;
      if (equals_ignoring_case(std::string_view(head).substr(at + 2, colon - at - 2), name)) {
        return std::string(trim(std::string_view(head).substr(colon + 1, head.find("\r\n", colon) - colon - 1)));
      }
    }
    return std::nullopt;
  }
  [[nodiscard]] nlohmann::json json() const { return nlohmann::json::parse(body, nullptr, false); }
};

class Client {
 public:
  explicit Client(const RunningBackend& backend) {
    descriptor_ = socket(AF_INET, SOCK_STREAM, 0);
    const timeval limit{.tv_sec = 20, .tv_usec = 0};
    setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(backend.port());
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(descriptor_, reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client() { close(descriptor_); }

  void send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;  // refused early: what was answered tells
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
  }

  // Exactly so many bytes, or fewer at the end of the stream.
  std::string receive(std::size_t count) {
    while (received_.size() < count && fill()) {
    }
    std::string bytes = received_.substr(0, count);
    received_.erase(0, bytes.size());
    return bytes;
  }
  std::string receive_line() {
    std::size_t end = 0;
    while ((end = received_.find("\r\n")) == std::string::npos && fill()) {
    }
    return receive(end == std::string::npos ? received_.size() : end + 2);
  }
  [[nodiscard]] bool ended() { return received_.empty() && !fill(); }

  enum class Body : std::uint8_t { expected, none };
  Response receive_response(Body body = Body::expected) {
    Response response;
    for (std::string line; line = receive_line(), line.size() > 2;) response.head += line;
    if (response.head.size() < 12) return response;
    response.status = parse_unsigned<int>(std::string_view(response.head).substr(9, 3)).value_or(0);
    if (body == Body::none || response.status == 204 || response.status == 304 || response.status < 200) {
      response.complete = true;
    } else if (const auto length = response.field("Content-Length")) {
      const auto count = parse_unsigned<std::size_t>(*length).value();
      response.body = receive(count);
      response.complete = response.body.size() == count;
    } else if (response.field("Transfer-Encoding") == "chunked") {
      receive_chunks(response);
    } else {
      while (fill()) {
      }
      response.body = receive(received_.size());
      response.complete = true;
    }
    return response;
  }

  Response ask(std::string_view method, std::string_view target, std::string_view fields = {}, std::string_view body = {}) {
    std::string request = std::string(method) + " " + std::string(target) + " HTTP/1.1\r\nHost: here\r\n" + std::string(fields);
    if (!body.empty()) request += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    send(request + "\r\n" + std::string(body));
    return receive_response(method == "HEAD" ? Body::none : Body::expected);
  }
  Response get(std::string_view target) { return ask("GET", target); }

  [[nodiscard]] int descriptor() const { return descriptor_; }

 private:
  bool fill() {
    char memory[64 * 1024];
    const ssize_t got = recv(descriptor_, memory, sizeof memory, 0);
    if (got > 0) received_.append(memory, static_cast<std::size_t>(got));
    return got > 0;
  }
  void receive_chunks(Response& response) {
    for (;;) {
      const std::string line = receive_line();
      std::size_t size = 0;
      if (line.size() < 3 || std::from_chars(line.data(), line.data() + line.size() - 2, size, 16).ec != std::errc{}) return;
      response.body += receive(size);
      if (receive(2) != "\r\n") return;
      if (size == 0) {
        response.complete = true;
        return;
      }
    }
  }

  int descriptor_ = -1;
  std::string received_;
};

}  // namespace steelyard::backend::test
