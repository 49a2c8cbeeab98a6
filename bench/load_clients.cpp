#include "load_clients.hpp"

#include <algorithm>

#include "http_text.hpp"
#include "load_roles.hpp"

namespace steelyard::bench {
namespace {

// A head and a small body in one read; what a large body adds is discarded without copying.
constexpr std::size_t buffer_bytes = 4096;
constexpr std::size_t discard_bytes = 1 << 20;
constexpr std::uint32_t source_addresses = 32;
constexpr std::size_t opened_at_once_max = 64;
// Idle connections are opened no faster than the proxy answers, so that what it needs for requests on their way stays small
// beside what it needs for connections.
constexpr std::size_t idle_in_flight_max = 16;

std::string with_number(std::string text, std::size_t number) {
  if (const std::size_t at = text.find("%d"); at != std::string::npos) text.replace(at, 2, std::to_string(number));
  return text;
}

std::string request(const LoadOptions& options, std::size_t number) {
  return "GET " + with_number(options.path, number) + " HTTP/1.1\r\nHost: " + with_number(options.host, number) +
         "\r\nUser-Agent: bench\r\nAccept: */*\r\n" + (options.kind == Connections::closed_by_proxy ? "Connection: close\r\n\r\n" : "\r\n");
}

}  // namespace

Clients::Clients(int epoll, std::size_t descriptors, const LoadOptions& options)
    : epoll_(epoll), options_(options), clients_(descriptors), buffer_(buffer_bytes) {
  for (std::size_t i = 0; i < options.variants; ++i) requests_.push_back(request(options, i));
}

bool Clients::open_some() {
  if (options_.targets.empty()) return false;
  std::size_t room = opened_at_once_max;
  if (options_.kind == Connections::idle) room = idle_in_flight_max - std::min(in_flight_, idle_in_flight_max);
  for (; room > 0 && opened_ < options_.connections; --room) open(static_cast<std::uint16_t>(opened_ % options_.targets.size()));
  return opened_ < options_.connections;
}

void Clients::ask_no_more() {
  asking_ = false;
  counting_ = false;
}

void Clients::open(std::uint16_t target) {
  const std::int64_t now_ns = monotonic_ns();
  ++opened_;
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) give_up("open a socket");
  if (one_request_each()) {
    // Each source address has its own ports; with one alone they would all be waiting in TIME_WAIT after a second.
    set_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT);
    const sockaddr_in source = loopback(0, 0x7f010001 + next_source_++ % source_addresses);  // 127.1.0.1 and on
    if (bind(fd, reinterpret_cast<const sockaddr*>(&source), sizeof source) != 0) give_up("bind a source address");
  } else {
    set_option(fd, IPPROTO_TCP, TCP_NODELAY);  // the only request of a connection has nothing before it to wait for
  }
  const sockaddr_in address = loopback(options_.targets[target]);
  const bool connected = connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  if (!connected && errno != EINPROGRESS) give_up("connect to the proxy");
  Client& client = clients_[fd];
  client.phase = Phase::connecting;
  client.target = target;
  client.since_ns = now_ns;
  // A request is small enough never to wait for room, so that EPOLLOUT is only worth knowing while connecting.
  if (connected) next(fd, now_ns);
  watch(epoll_, token(fd, LoadRole::client, client.life), connected ? both_ways & ~static_cast<std::uint32_t>(EPOLLOUT) : both_ways);
}

void Clients::reopen(int fd) {
  Client& client = clients_[fd];
  const std::uint16_t target = client.target;
  if (client.phase == Phase::free) std::erase(free_, fd);
  if (client.phase == Phase::head || client.phase == Phase::body) --in_flight_;
  close(fd);
  const auto life = static_cast<std::uint16_t>(client.life + 1);
  client = {};
  client.life = life;
  if (asking_) open(target);
}

void Clients::fail(int fd) {
  ++tally_.errors;
  reopen(fd);
}

void Clients::next(int fd, std::int64_t now_ns) {
  if (options_.rate > 0 || !asking_) {
    clients_[fd].phase = Phase::free;
    free_.push_back(fd);
  } else {
    send_request(fd, now_ns);
  }
}

void Clients::send_due(std::int64_t now_ns) {
  if (first_due_ns_ == 0) first_due_ns_ = now_ns;
  while (!free_.empty()) {
    const std::int64_t due_ns = first_due_ns_ + static_cast<std::int64_t>(static_cast<double>(sent_when_due_) * 1e9 / options_.rate);
    if (due_ns > now_ns) return;
    const int fd = free_.back();
    free_.pop_back();
    ++sent_when_due_;
    send_request(fd, due_ns);
  }
}

void Clients::send_request(int fd, std::int64_t since_ns) {
  Client& client = clients_[fd];
  const std::string& bytes = requests_[next_request_];
  if (++next_request_ == requests_.size()) next_request_ = 0;
  client.since_ns = since_ns;
  client.phase = Phase::head;
  ++in_flight_;
  client.received = 0;
  // A failure here shows itself as the end of the connection when the answer is read.
  if (send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(bytes.size())) ++tally_.errors;
}

void Clients::on_event(int fd, std::uint16_t life, std::uint32_t events) {
  Client& client = clients_[fd];
  if (client.phase == Phase::closed || client.life != life) return;
  if (client.phase == Phase::connecting) {
    if (events & (EPOLLERR | EPOLLHUP)) return fail(fd);
    if (events & EPOLLOUT) next(fd, one_request_each() ? client.since_ns : monotonic_ns());
  }
  if (events & something_to_read) read(fd, events);
}

void Clients::read(int fd, std::uint32_t events) {
  const auto [phase, life] = std::pair(clients_[fd].phase, clients_[fd].life);
  if (phase != Phase::head && phase != Phase::body) return read_unasked(fd);
  if (phase == Phase::head && read_head(fd) == Then::wait && !(events & EPOLLRDHUP)) return;
  if (clients_[fd].phase == Phase::body) read_body(fd, events);
  // The end was announced together with this answer and will not be announced again: whoever has just asked must look for it.
  if ((events & EPOLLRDHUP) && clients_[fd].phase == Phase::head && clients_[fd].life == life) read_head(fd);
}

// Go on means that more of the body may lie in the socket already.
Clients::Then Clients::read_head(int fd) {
  Client& client = clients_[fd];
  const ssize_t count = recv(fd, buffer_.data(), buffer_.size(), 0);
  if (count < 0 && errno == EAGAIN) return Then::wait;
  if (count <= 0) {
    fail(fd);
    return Then::wait;
  }
  std::string joined;
  std::string_view bytes(buffer_.data(), static_cast<std::size_t>(count));
  if (!client.part_of_head.empty()) {
    joined = std::exchange(client.part_of_head, {}).append(bytes);
    bytes = joined;
  }
  const auto length = length_of_head(bytes);
  if (!length) {
    client.part_of_head = bytes;
    return Then::wait;
  }
  const std::string_view head = bytes.substr(0, *length);
  const auto body_bytes = content_length_of(head);
  if (!body_bytes || *body_bytes < bytes.size() - *length) {
    fail(fd);
    return Then::wait;
  }
  if (head[std::string_view("HTTP/1.1 ").size()] != '2') ++tally_.errors;
  client.ends = one_request_each() || says_close(head);
  client.received = bytes.size();
  client.body_left = *body_bytes - (bytes.size() - *length);
  client.phase = Phase::body;
  if (client.body_left > 0) return static_cast<std::size_t>(count) == buffer_.size() ? Then::go_on : Then::wait;
  complete(fd);
  return Then::wait;
}

Clients::Then Clients::read_body(int fd, std::uint32_t events) {
  Client& client = clients_[fd];
  while (client.body_left > 0) {
    const std::size_t wanted = std::min<std::uint64_t>(client.body_left, discard_bytes);
    const ssize_t count = recv(fd, nullptr, wanted, MSG_TRUNC);
    if (count < 0 && errno == EAGAIN) return Then::wait;
    if (count <= 0) {
      fail(fd);
      return Then::wait;
    }
    client.body_left -= static_cast<std::size_t>(count);
    client.received += static_cast<std::size_t>(count);
    if (client.body_left > 0 && static_cast<std::size_t>(count) < wanted && !(events & EPOLLRDHUP)) return Then::wait;
  }
  complete(fd);
  return Then::go_on;
}

// Nothing was asked: this can only be the end of the connection, or an edge whose bytes were read before.
void Clients::read_unasked(int fd) {
  char byte;
  if (recv(fd, &byte, 1, 0) < 0 && errno == EAGAIN) return;
  if (clients_[fd].phase == Phase::parked) --parked_;
  fail(fd);
}

void Clients::complete(int fd) {
  Client& client = clients_[fd];
  const std::int64_t now_ns = monotonic_ns();
  if (counting_) {
    tally_.latency.record(now_ns - client.since_ns);
    tally_.bytes += client.received;
  }
  if (options_.kind == Connections::idle) {
    client.phase = Phase::parked;
    ++parked_;
    --in_flight_;
  } else if (client.ends) {
    reopen(fd);
  } else {
    --in_flight_;
    next(fd, now_ns);
  }
}

}  // namespace steelyard::bench
