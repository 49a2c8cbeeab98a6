#include "load_backend.hpp"

#include <algorithm>

#include "http_text.hpp"
#include "load_roles.hpp"
#include "sockets.hpp"

namespace steelyard::bench {

Backend::Backend(int epoll, std::size_t descriptors)
    : epoll_(epoll),
      connections_(descriptors),
      responses_{{{"0", 0, {}, {}},
                  {"64", 64, {}, {}},
                  {"1k", 1024, {}, {}},
                  {"4k", 4096, {}, {}},
                  {"16k", 16384, {}, {}},
                  {"64k", 65536, {}, {}},
                  {"256k", 262144, {}, {}},
                  {"1m", 1 << 20, {}, {}}}} {
  for (Response& response : responses_) {
    const std::string length = "Content-Length: " + std::to_string(response.body_bytes) + "\r\n\r\n";
    const std::string body(response.body_bytes, 'x');
    response.kept = "HTTP/1.1 200 OK\r\nServer: bench\r\nContent-Type: text/plain\r\n" + length + body;
    response.last = "HTTP/1.1 200 OK\r\nServer: bench\r\nContent-Type: text/plain\r\nConnection: close\r\n" + length + body;
  }
}

void Backend::listen(std::uint16_t port) {
  const int fd = listen_on_loopback(port, INADDR_ANY);
  watch(epoll_, token(fd, LoadRole::listener, 0), EPOLLIN);
}

void Backend::accept_some(int listener) {
  for (int i = 0; i < 64; ++i) {
    const int fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    Connection& connection = connections_[fd];
    connection.open = true;
    watch(epoll_, token(fd, LoadRole::server, connection.life), both_ways);
  }
}

void Backend::on_event(int fd, std::uint16_t life, std::uint32_t events) {
  Connection& connection = connections_[fd];
  if (!connection.open || connection.life != life) return;
  if ((events & EPOLLOUT) && !connection.unsent.empty() && flush(fd) == Then::stop) return;
  if (events & something_to_read) read(fd, events);
}

void Backend::read(int fd, std::uint32_t events) {
  for (;;) {
    const ssize_t count = recv(fd, buffer_.data(), buffer_.size(), 0);
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) return forget(fd);
    if (answer(fd, {buffer_.data(), static_cast<std::size_t>(count)}) == Then::stop) return;
    // A short read has emptied the socket, unless its end was announced together with the bytes.
    if (static_cast<std::size_t>(count) < buffer_.size() && !(events & EPOLLRDHUP)) return;
  }
}

Backend::Then Backend::answer(int fd, std::string_view bytes) {
  std::string& unparsed = connections_[fd].unparsed;
  if (unparsed.empty()) return answer_each(fd, bytes);
  const std::string joined = std::exchange(unparsed, {}).append(bytes);
  return answer_each(fd, joined);
}

Backend::Then Backend::answer_each(int fd, std::string_view bytes) {
  Connection& connection = connections_[fd];
  while (!bytes.empty()) {
    const auto length = connection.unsent.empty() ? length_of_head(bytes) : std::nullopt;
    if (!length) {
      connection.unparsed = bytes;
      return Then::go_on;
    }
    const std::string_view head = bytes.substr(0, *length);
    bytes.remove_prefix(*length);
    connection.ends = says_close(head);
    const Response& response = response_for(head);
    connection.unsent = connection.ends ? response.last : response.kept;
    if (flush(fd) == Then::stop) return Then::stop;
  }
  return Then::go_on;
}

Backend::Then Backend::flush(int fd) {
  Connection& connection = connections_[fd];
  while (!connection.unsent.empty()) {
    const ssize_t count = send(fd, connection.unsent.data(), connection.unsent.size(), MSG_NOSIGNAL);
    if (count < 0 && errno == EAGAIN) return Then::go_on;
    if (count < 0) {
      forget(fd);
      return Then::stop;
    }
    connection.unsent.remove_prefix(static_cast<std::size_t>(count));
  }
  if (connection.ends) {
    forget(fd);
    return Then::stop;
  }
  // Requests that came while this response was on its way have been waiting.
  return connection.unparsed.empty() ? Then::go_on : answer(fd, {});
}

void Backend::forget(int fd) {
  close(fd);
  const auto life = static_cast<std::uint16_t>(connections_[fd].life + 1);
  connections_[fd] = {};
  connections_[fd].life = life;
}

const Backend::Response& Backend::response_for(std::string_view head) const {
  const std::size_t from = head.find(' ') + 1;
  const std::string_view path = head.substr(from, head.find_first_of(" ?", from) - from);
  const std::string_view name = path.substr(path.rfind('/') + 1);
  const auto found = std::ranges::find(responses_, name, &Response::name);
  return found != responses_.end() ? *found : responses_[2];
}

}  // namespace steelyard::bench
