// A scripted DNS server on 127.0.0.1, over UDP and TCP on one free port, on the test's own loop.
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "net/epoll_loop.hpp"
#include "net/sockaddr.hpp"
#include "support/dns_message.hpp"

namespace steelyard::testing_support {

class DnsServer {
 public:
  // The messages that answer: mostly one, none for silence.
  using Script = std::function<std::vector<std::string>(const DnsAsked&)>;

  explicit DnsServer(EpollLoop& loop) : loop_(loop) {
    // A port that is free for UDP is mostly free for TCP too.
    for (int i = 0; i < 20 && !listener_; ++i) {
      udp_ = std::make_unique<Socket>(*this, SOCK_DGRAM, 0, &DnsServer::receive);
      auto tcp = std::make_unique<Socket>(*this, SOCK_STREAM, udp_->address.port, &DnsServer::accept_all);
      if (tcp->address.port != 0 && listen(tcp->descriptor, 16) == 0) listener_ = std::move(tcp);
    }
    EXPECT_TRUE(listener_);
    EXPECT_TRUE(loop_.add(udp_->descriptor, *udp_));
    EXPECT_TRUE(loop_.add(listener_->descriptor, *listener_));
  }

  [[nodiscard]] SocketAddress address() const { return udp_->address; }
  [[nodiscard]] std::size_t count(std::string_view name) const {
    return static_cast<std::size_t>(std::ranges::count(asked, name, &DnsAsked::name));
  }

  Script script;
  std::vector<DnsAsked> asked;  // in the order in which they came

 private:
  struct Socket final : Pollable {
    using Ready = void (DnsServer::*)(Socket&);
    Socket(DnsServer& of, int made, Ready on_ready) : server(of), descriptor(made), ready(on_ready) {}
    Socket(DnsServer& of, int type, std::uint16_t port, Ready on_ready)
        : Socket(of, socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on_ready) {
      sockaddr_storage storage;
      socklen_t size = to_sockaddr({*IpAddress::parse("127.0.0.1"), port}, storage);
      if (bind(descriptor, reinterpret_cast<sockaddr*>(&storage), size) != 0) return;
      size = sizeof storage;
      getsockname(descriptor, reinterpret_cast<sockaddr*>(&storage), &size);
      address = from_sockaddr(storage);
    }
    ~Socket() {
      server.loop_.remove(descriptor, *this);
      close(descriptor);
    }
    void on_events(std::uint32_t /*events*/) override { (server.*ready)(*this); }

    DnsServer& server;
    int descriptor;
    Ready ready;
    SocketAddress address;
    std::string received;
  };

  std::vector<std::string> answer(std::string_view message, bool over_tcp) {
    asked.push_back(DnsAsked::read(message, over_tcp));
    return script(asked.back());
  }

  void receive(Socket& udp) {
    char memory[2048];
    sockaddr_storage from;
    for (;;) {
      socklen_t size = sizeof from;
      const ssize_t got = recvfrom(udp.descriptor, memory, sizeof memory, 0, reinterpret_cast<sockaddr*>(&from), &size);
      if (got < 0) return;
      for (const std::string& reply : answer({memory, static_cast<std::size_t>(got)}, false)) {
        sendto(udp.descriptor, reply.data(), reply.size(), 0, reinterpret_cast<sockaddr*>(&from), size);
      }
    }
  }

  void accept_all(Socket& listener) {
    for (;;) {
      const int descriptor = accept4(listener.descriptor, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (descriptor < 0) return;
      connections_.push_back(std::make_unique<Socket>(*this, descriptor, &DnsServer::read));
      EXPECT_TRUE(loop_.add(descriptor, *connections_.back()));
    }
  }

  // Each message has its length before it (RFC 1035 §4.2.2).
  void read(Socket& connection) {
    char memory[2048];
    std::string& received = connection.received;
    for (ssize_t got = 0; (got = recv(connection.descriptor, memory, sizeof memory, 0)) > 0;) {
      received.append(memory, static_cast<std::size_t>(got));
    }
    while (received.size() >= 2) {
      const std::size_t size = static_cast<unsigned char>(received[0]) << 8U | static_cast<unsigned char>(received[1]);
      if (received.size() < 2 + size) return;
      for (const std::string& reply : answer(std::string_view(received).substr(2, size), true)) {
        const std::string framed = dns_number(reply.size(), 2) + reply;
        EXPECT_EQ(send(connection.descriptor, framed.data(), framed.size(), MSG_NOSIGNAL), static_cast<ssize_t>(framed.size()));
      }
      received.erase(0, 2 + size);
    }
  }

  EpollLoop& loop_;
  std::unique_ptr<Socket> udp_;
  std::unique_ptr<Socket> listener_;
  std::vector<std::unique_ptr<Socket>> connections_;
};

}  // namespace steelyard::testing_support
