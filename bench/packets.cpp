// Servers and clients of packets for packets.py: servers that answer whatever comes with an ack, and clients that each send a packet,
// wait for the ack and send the next. A packet is taken to arrive in one piece, which one of this size does on loopback.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "histogram.hpp"
#include "sockets.hpp"

namespace {

using namespace steelyard::bench;

constexpr std::string_view data = R"({"type": "0", "srcid": "1", "privPoliId": "111", "payload": "xyz1"})";
constexpr std::string_view ack =
    R"({"type": "2", "srcid": "100", "destid": "1", "payloadsize": 40, "payload": "b0400cf1f3919fdba057dbd2acc52f148fbb43ac"})";

struct Options {
  std::uint16_t port = 0;
  std::size_t connections = 64;
  double seconds = 1;
};

void send_all(int fd, std::string_view bytes) {
  if (send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(bytes.size())) give_up("send a packet in one piece");
}

[[noreturn]] void serve(const Options& options) {
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  const auto listener = static_cast<std::uint32_t>(listen_on_loopback(options.port, INADDR_LOOPBACK));
  watch(epoll, {listener, 0, 0}, EPOLLIN);
  std::vector<epoll_event> events(1024);
  char buffer[16384];
  for (;;) {
    const int count = epoll_wait(epoll, events.data(), static_cast<int>(events.size()), -1);
    for (int i = 0; i < count; ++i) {
      const Token token = token_of(events[static_cast<std::size_t>(i)]);
      if (token.fd == listener) {
        for (int fd = 0; (fd = accept4(static_cast<int>(listener), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
          watch(epoll, {static_cast<std::uint32_t>(fd), 1, 0}, EPOLLIN);
        }
        continue;
      }
      const ssize_t got = recv(static_cast<int>(token.fd), buffer, sizeof buffer, 0);
      if (got > 0) {
        send_all(static_cast<int>(token.fd), ack);
      } else {
        close(static_cast<int>(token.fd));
      }
    }
  }
}

struct Client {
  std::size_t received = 0;  // of the ack that is due
  std::int64_t sent_ns = 0;
};

int connect_to(std::uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) give_up("open a socket");
  set_option(fd, IPPROTO_TCP, TCP_NODELAY);
  const sockaddr_in where = loopback(port);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&where), sizeof where) != 0) give_up("connect to the proxy");
  return fd;
}

// Each client's connection stays for the whole run.
void ask(const Options& options) {
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  std::vector<Client> clients(descriptors_max());
  for (std::size_t i = 0; i < options.connections; ++i) {
    const int fd = connect_to(options.port);
    clients[static_cast<std::size_t>(fd)].sent_ns = monotonic_ns();
    send_all(fd, data);
    watch(epoll, {static_cast<std::uint32_t>(fd), 0, 0}, EPOLLIN);
  }
  std::vector<epoll_event> events(1024);
  char buffer[16384];
  const auto latencies = std::make_unique<Histogram>();
  std::uint64_t errors = 0;
  const std::int64_t begun = monotonic_ns();
  const std::int64_t end = begun + static_cast<std::int64_t>(options.seconds * 1e9);
  std::int64_t now = begun;
  while (now < end) {
    const int count = epoll_wait(epoll, events.data(), static_cast<int>(events.size()), 100);
    now = monotonic_ns();
    for (int i = 0; i < count; ++i) {
      const int fd = static_cast<int>(token_of(events[static_cast<std::size_t>(i)]).fd);
      Client& client = clients[static_cast<std::size_t>(fd)];
      const ssize_t got = recv(fd, buffer, sizeof buffer, 0);
      if (got <= 0) {
        ++errors;
        close(fd);
        continue;
      }
      client.received += static_cast<std::size_t>(got);
      if (client.received < ack.size()) continue;
      latencies->record(now - client.sent_ns);
      client = {.sent_ns = now};
      send_all(fd, data);
    }
  }
  const double seconds = static_cast<double>(now - begun) / 1e9;
  std::printf(R"({"packets": %llu, "per_second": %.1f, "errors": %llu, "p50_us": %.1f, "p99_us": %.1f})"
              "\n",
              static_cast<unsigned long long>(latencies->count()), static_cast<double>(latencies->count()) / seconds,
              static_cast<unsigned long long>(errors), latencies->percentile_us(0.5), latencies->percentile_us(0.99));
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Servers and clients of packets, for measuring.");
  Options options;
  app.require_subcommand(1);
  auto* servers = app.add_subcommand("serve", "Answer packets on a port");
  servers->add_option("--port", options.port, "Port")->required();
  auto* clients = app.add_subcommand("load", "Send packets to a port, print what came of it as JSON");
  clients->add_option("--port", options.port, "Port")->required();
  clients->add_option("--connections", options.connections, "Clients at once")->capture_default_str();
  clients->add_option("--seconds", options.seconds, "For so long")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  if (servers->parsed()) serve(options);
  ask(options);
  return 0;
}
