// The relay: our ruler. It does the least that anything between a client and a server can do on Linux, so that what it costs is
// what the kernel charges everybody: it finds the end of a head and a Content-Length, pools server connections and moves bytes.
// It is not a proxy: a request must arrive in one piece and without a body, every response must state its length, and a
// violation drops both connections. One thread, one epoll, every descriptor registered once.
#include <fcntl.h>
#include <netinet/in.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "http_text.hpp"
#include "sockets.hpp"

namespace {

using namespace steelyard::bench;

enum class Mode { copy, splice };

struct Options {
  std::uint16_t port = 0;
  std::uint16_t server_port = 9000;
  Mode mode = Mode::copy;
  std::size_t buffer_bytes = 16384;
  std::int64_t spin_us = 0;
  bool hide_close = false;
};

struct Pipe {
  int read_end = -1;
  int write_end = -1;
  std::size_t filled = 0;
};

constexpr std::size_t pipe_bytes = 1 << 20;
constexpr std::size_t splice_from_bytes = 16384;  // below this a copy is cheaper than two more system calls

// Whole pages: the kernel copies into an aligned buffer somewhat faster.
struct alignas(4096) Page {
  char bytes[4096];
};

enum class Role : std::uint16_t { unused, listener, client, server };

struct Connection {
  Role role = Role::unused;
  std::uint16_t life = 0;
  int peer = -1;
  bool unread = false;       // an edge was seen while the other side could not take more: nobody will tell us again
  bool blocked = false;      // client: a write was short, so EPOLLOUT is worth something
  bool in_response = false;  // server: the head has gone by and `left` counts
  bool ends = false;         // client: asked for close, so that we close after the response
  std::uint64_t left = 0;    // server: bytes of the body still to receive
  // Client: what a short write left over. Freed as soon as it is sent, so that the next one gets memory that is still warm.
  std::unique_ptr<char[]> tail;
  std::string_view unsent;
  Pipe pipe;  // server: only while a large body passes
};

class Relay {
 public:
  explicit Relay(const Options& options)
      : options_(options),
        pages_((options.buffer_bytes + sizeof(Page) - 1) / sizeof(Page)),
        buffer_(pages_.front().bytes, options.buffer_bytes),
        connections_(descriptors_max()),
        server_address_(loopback(options.server_port)) {
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    listener_ = listen_on_loopback(options.port, INADDR_LOOPBACK);
    watch(epoll_, {.fd = static_cast<std::uint32_t>(listener_), .role = std::to_underlying(Role::listener), .life = 0}, EPOLLIN);
  }

  [[noreturn]] void run() {
    epoll_event events[512];
    for (;;) {
      const int count = wait(events, std::size(events));
      for (int i = 0; i < count; ++i) dispatch(token_of(events[i]), events[i].events);
    }
  }

 private:
  int wait(epoll_event* events, int size) {
    if (options_.spin_us == 0) return epoll_wait(epoll_, events, size, -1);
    const std::int64_t until = monotonic_ns() + options_.spin_us * 1000;
    do {
      const int count = epoll_wait(epoll_, events, size, 0);
      if (count != 0) return count;
    } while (monotonic_ns() < until);
    return epoll_wait(epoll_, events, size, -1);
  }

  void dispatch(Token token, std::uint32_t events) {
    const int fd = static_cast<int>(token.fd);
    if (fd == listener_) return accept_some();
    Connection& connection = connections_[fd];
    if (connection.role == Role::unused || connection.life != token.life) return;
    if (connection.role == Role::server) {
      if (events & something_to_read) read_server(fd);
      return;
    }
    if ((events & EPOLLOUT) && connection.blocked) {
      write_tail(fd);
      if (connection.life != token.life) return;
    }
    if ((events & EPOLLRDHUP) && connection.peer >= 0) return drop(fd);
    if (events & something_to_read) read_client(fd);
  }

  void accept_some() {
    for (int i = 0; i < 64; ++i) {
      const int fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) return;
      adopt(fd, Role::client);
    }
  }

  void adopt(int fd, Role role) {
    Connection& connection = connections_[fd];
    connection.role = role;
    watch(epoll_, {.fd = static_cast<std::uint32_t>(fd), .role = std::to_underlying(role), .life = connection.life}, both_ways);
  }

  void read_client(int fd) {
    Connection& client = connections_[fd];
    if (client.peer >= 0) {
      client.unread = true;
      return;
    }
    const ssize_t count = recv(fd, buffer_.data(), buffer_.size(), 0);
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) return drop(fd);
    const std::string_view request(buffer_.data(), static_cast<std::size_t>(count));
    if (!request.ends_with("\r\n\r\n")) return drop(fd);
    if (options_.hide_close) hide_close(client, request);
    const int server = take_server();
    if (server < 0) return drop(fd);
    client.peer = server;
    connections_[server].peer = fd;
    if (send(server, request.data(), request.size(), MSG_NOSIGNAL) != count) drop(fd);
  }

  // "Connection: close" is between the client and us. Spoiling its name in place keeps the server's connection at no cost.
  void hide_close(Connection& client, std::string_view request) {
    const auto value = field_of(request, "connection:");
    if (!value || *value != "close") return;
    client.ends = true;
    buffer_[static_cast<std::size_t>(request.rfind("onnection", value->data() - request.data()) - 1)] = 'X';
  }

  int take_server() {
    if (!pool_.empty()) {
      const int fd = pool_.back();
      pool_.pop_back();
      return fd;
    }
    // Blocking: a connection over loopback is made before connect returns, and it happens once for each pooled connection.
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    if (connect(fd, reinterpret_cast<const sockaddr*>(&server_address_), sizeof server_address_) != 0) {
      close(fd);
      return -1;
    }
    set_option(fd, IPPROTO_TCP, TCP_NODELAY);
    if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0) give_up("make a socket non-blocking");
    adopt(fd, Role::server);
    return fd;
  }

  void read_server(int fd) {
    Connection& server = connections_[fd];
    if (server.peer < 0) return evict(fd);
    if (connections_[server.peer].blocked) {
      server.unread = true;
      return;
    }
    for (;;) {
      if (options_.mode == Mode::splice && server.in_response && (server.left >= splice_from_bytes || server.pipe.filled > 0)) {
        return splice_body(fd);
      }
      const ssize_t count = recv(fd, buffer_.data(), buffer_.size(), 0);
      if (count < 0 && errno == EAGAIN) return;
      if (count <= 0 || !forward(fd, {buffer_.data(), static_cast<std::size_t>(count)})) return drop(fd);
      if (connections_[server.peer].blocked) {
        server.unread = true;
        return;
      }
      if (server.left == 0) return finish(fd);
      // A short read has emptied the socket; what comes later comes with an edge of its own. Splicing may go on at once.
      if (static_cast<std::size_t>(count) < buffer_.size() && options_.mode == Mode::copy) return;
    }
  }

  // Counts the bytes and sends them to the client; what it does not take becomes its tail.
  bool forward(int fd, std::string_view bytes) {
    Connection& server = connections_[fd];
    std::size_t of_body = bytes.size();
    if (!server.in_response) {
      const auto head = length_of_head(bytes);
      if (!head) return false;
      server.in_response = true;
      server.left = content_length_of(bytes.substr(0, *head)).value_or(0);
      of_body -= *head;
    }
    if (of_body > server.left) return false;
    server.left -= of_body;
    const ssize_t sent = send(server.peer, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent == static_cast<ssize_t>(bytes.size())) return true;
    if (sent < 0 && errno != EAGAIN) return false;
    Connection& client = connections_[server.peer];
    bytes.remove_prefix(sent < 0 ? 0 : static_cast<std::size_t>(sent));
    client.tail = std::make_unique_for_overwrite<char[]>(bytes.size());
    std::ranges::copy(bytes, client.tail.get());
    client.unsent = {client.tail.get(), bytes.size()};
    client.blocked = true;
    return true;
  }

  void splice_body(int fd) {
    Connection& server = connections_[fd];
    Pipe& pipe = server.pipe;
    if (pipe.read_end < 0) pipe = take_pipe();
    for (;;) {
      if (pipe.filled == 0) {
        const ssize_t count = splice(fd, nullptr, pipe.write_end, nullptr, std::min<std::uint64_t>(server.left, pipe_bytes), splice_flags);
        if (count < 0 && errno == EAGAIN) return;
        if (count <= 0) return drop(fd);
        pipe.filled += static_cast<std::size_t>(count);
        server.left -= static_cast<std::size_t>(count);
      }
      const unsigned more = server.left > 0 ? SPLICE_F_MORE : 0;
      const ssize_t count = splice(pipe.read_end, nullptr, server.peer, nullptr, pipe.filled, splice_flags | more);
      if (count < 0 && errno == EAGAIN) {
        connections_[server.peer].blocked = true;
        server.unread = true;
        return;
      }
      if (count <= 0) return drop(fd);
      pipe.filled -= static_cast<std::size_t>(count);
      if (pipe.filled == 0 && server.left == 0) return finish(fd);
    }
  }

  Pipe take_pipe() {
    if (!pipes_.empty()) {
      const Pipe pipe = pipes_.back();
      pipes_.pop_back();
      return pipe;
    }
    int ends[2];
    if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0) give_up("open a pipe");
    if (fcntl(ends[0], F_SETPIPE_SZ, static_cast<int>(pipe_bytes)) < 0) give_up("grow a pipe");
    return {.read_end = ends[0], .write_end = ends[1]};
  }

  void write_tail(int fd) {
    Connection& client = connections_[fd];
    if (!client.unsent.empty()) {
      const ssize_t sent = send(fd, client.unsent.data(), client.unsent.size(), MSG_NOSIGNAL);
      if (sent < 0 && errno != EAGAIN) return drop(fd);
      if (sent > 0) client.unsent.remove_prefix(static_cast<std::size_t>(sent));
      if (!client.unsent.empty()) return;
      client.tail.reset();
    }
    client.blocked = false;
    Connection& server = connections_[client.peer];
    if (server.in_response && server.left == 0 && server.pipe.filled == 0) return finish(client.peer);
    if (std::exchange(server.unread, false)) read_server(client.peer);
  }

  // The response is over: the server's connection goes back into the pool, the client may have asked again meanwhile.
  void finish(int fd) {
    Connection& server = connections_[fd];
    const int client = std::exchange(server.peer, -1);
    server.in_response = false;
    server.unread = false;
    if (server.pipe.read_end >= 0) pipes_.push_back(std::exchange(server.pipe, {}));
    connections_[client].peer = -1;
    pool_.push_back(fd);
    if (connections_[client].ends) return drop(client);
    if (std::exchange(connections_[client].unread, false)) read_client(client);
  }

  // An event on a pooled connection is its end, or the edge of a response that was already read: a read tells which.
  void evict(int fd) {
    char byte;
    if (recv(fd, &byte, 1, 0) < 0 && errno == EAGAIN) return;
    std::erase(pool_, fd);
    drop(fd);
  }

  void drop(int fd) {
    const int peer = connections_[fd].peer;
    forget(fd);
    if (peer >= 0) forget(peer);
  }

  void forget(int fd) {
    Connection& connection = connections_[fd];
    close(fd);
    if (connection.pipe.read_end >= 0) {
      close(connection.pipe.read_end);
      close(connection.pipe.write_end);
    }
    const std::uint16_t life = connection.life;
    connection = {};
    connection.life = static_cast<std::uint16_t>(life + 1);
  }

  static constexpr unsigned splice_flags = SPLICE_F_NONBLOCK | SPLICE_F_MOVE;

  Options options_;
  std::vector<Page> pages_;
  std::span<char> buffer_;               // one for all connections, so that it stays in the cache
  std::vector<Connection> connections_;  // by descriptor
  std::vector<int> pool_;                // idle server connections, the warmest last
  std::vector<Pipe> pipes_;
  sockaddr_in server_address_;
  int epoll_ = -1;
  int listener_ = -1;
};

}  // namespace

int main(int count, char** arguments) {
  Options options;
  CLI::App app("A minimal HTTP/1.1 relay between loopback ports: the ruler of the benchmarks");
  app.add_option("--port", options.port, "Port to listen on")->required();
  app.add_option("--server-port", options.server_port, "Port of the server")->capture_default_str();
  app.add_option("--mode", options.mode, "copy, or splice for large bodies")
      ->transform(CLI::CheckedTransformer(std::map<std::string, Mode>{{"copy", Mode::copy}, {"splice", Mode::splice}}));
  app.add_option("--buffer", options.buffer_bytes, "Bytes read at once")->capture_default_str()->check(CLI::Range(1024, 16 << 20));
  app.add_option("--spin-us", options.spin_us, "Poll this long before sleeping")->capture_default_str();
  app.add_flag("--hide-close", options.hide_close, "Keep the server's connection when a client asks for close");
  CLI11_PARSE(app, count, arguments);
  std::signal(SIGPIPE, SIG_IGN);
  Relay(options).run();
}
