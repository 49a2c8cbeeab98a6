#include "app/admin_client.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "admin/endpoints.hpp"
#include "app/resolve.hpp"
#include "config/spelling.hpp"
#include "net/epoll_loop.hpp"
#include "net/sockaddr.hpp"
#include "wire/http1/response_collector.hpp"

namespace steelyard {
namespace {

using http1::ResponseCollector;
using Step = ResponseCollector::Step;

constexpr Duration connect_timeout = 5s;
constexpr Duration answer_timeout = 10s;
constexpr Duration silence_max = 45s;  // a stream of events has a heartbeat each 15 s
constexpr std::size_t body_bytes_max = 256 * 1024 * 1024;
constexpr int timed_out = ETIMEDOUT;

// A connected socket. Its functions give an errno, 0 for success; ETIMEDOUT also when the deadline has passed.
class Socket {
 public:
  Socket() = default;
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket() {
    if (descriptor_ >= 0) close(descriptor_);
  }

  int connect(int family, const sockaddr* address, socklen_t size, Instant deadline) {
    descriptor_ = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor_ < 0) return errno;
    if (::connect(descriptor_, address, size) == 0) return 0;
    if (errno != EINPROGRESS) return errno;
    if (const int error = wait(POLLOUT, deadline); error != 0) return error;
    int error = 0;
    socklen_t error_size = sizeof error;
    getsockopt(descriptor_, SOL_SOCKET, SO_ERROR, &error, &error_size);
    return error;
  }

  int send(std::string_view text, Instant deadline) {
    while (!text.empty()) {
      const ssize_t sent = ::send(descriptor_, text.data(), text.size(), MSG_NOSIGNAL);
      if (sent >= 0) {
        text.remove_prefix(static_cast<std::size_t>(sent));
      } else if (errno == EAGAIN) {
        if (const int error = wait(POLLOUT, deadline); error != 0) return error;
      } else if (errno != EINTR) {
        return errno;
      }
    }
    return 0;
  }

  // Waits for the next bytes; none of them is the end.
  int receive(std::span<char> into, std::size_t& count, Instant deadline) {
    for (;;) {
      const ssize_t got = recv(descriptor_, into.data(), into.size(), 0);
      if (got >= 0) {
        count = static_cast<std::size_t>(got);
        return 0;
      }
      if (errno == EAGAIN) {
        if (const int error = wait(POLLIN, deadline); error != 0) return error;
      } else if (errno != EINTR) {
        return errno;
      }
    }
  }

 private:
  int wait(short events, Instant deadline) const {
    pollfd waiting{descriptor_, events, 0};
    for (;;) {
      const auto left_ms = std::max<std::int64_t>((deadline - monotonic_now()) / 1ms, 0);
      const int ready = poll(&waiting, 1, static_cast<int>(left_ms));
      if (ready > 0) return 0;
      if (ready == 0) return timed_out;
      if (errno != EINTR) return errno;
    }
  }

  int descriptor_ = -1;
};

int connect(Socket& socket, const AdminPlace& place, const SocketAddress& address) {
  const Instant deadline = monotonic_now() + connect_timeout;
  if (!place.on_socket()) {
    sockaddr_storage storage{};
    const socklen_t size = to_sockaddr(address, storage);
    return socket.connect(storage.ss_family, reinterpret_cast<const sockaddr*>(&storage), size, deadline);
  }
  sockaddr_un path{};
  path.sun_family = AF_UNIX;
  if (place.socket_path.size() >= sizeof path.sun_path) return ENAMETOOLONG;
  std::memcpy(path.sun_path, place.socket_path.data(), place.socket_path.size());
  return socket.connect(AF_UNIX, reinterpret_cast<const sockaddr*>(&path), sizeof path, deadline);
}

}  // namespace

std::string AdminPlace::to_string() const { return on_socket() ? "unix:" + socket_path : config::spell_host_port(host, port); }

std::expected<AdminPlace, std::string> parse_admin_place(std::string_view text) {
  constexpr std::string_view unix_scheme = "unix:";
  constexpr std::string_view http_scheme = "http://";
  std::string_view rest = text;
  if (rest.starts_with(unix_scheme)) {
    rest.remove_prefix(unix_scheme.size());
    if (rest.empty()) return std::unexpected("a path is missing behind unix:, such as unix:/run/steelyard.sock");
    return AdminPlace{.socket_path = std::string(rest)};
  }
  if (rest.starts_with("https://")) return std::unexpected(fmt::format("{}: the admin API speaks http, without TLS", text));
  if (rest.starts_with(http_scheme)) {
    rest.remove_prefix(http_scheme.size());
    if (rest.ends_with('/')) rest.remove_suffix(1);
  }
  const auto parsed = config::parse_host_port(rest);
  if (!parsed) {
    return std::unexpected(
        fmt::format("{}: {}; write an address and port such as 127.0.0.1:9900, or unix:/run/steelyard.sock", text, parsed.error()));
  }
  return AdminPlace{.host = parsed->host, .port = parsed->port};
}

std::expected<AdminClient, AdminFailure> AdminClient::open(AdminPlace place, std::string token) {
  if (place.on_socket()) return AdminClient(std::move(place), {}, std::move(token));
  const auto address = resolve(place.host, place.port);
  if (!address) return std::unexpected(AdminFailure{"cannot_connect", address.error()});
  return AdminClient(std::move(place), *address, std::move(token));
}

AdminClient::AdminClient(AdminPlace place, SocketAddress address, std::string token)
    : place_(std::move(place)), address_(address), token_(std::move(token)) {}

std::string AdminClient::head_of(const AdminRequest& request) const {
  std::string head = fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: steelyard\r\nConnection: close\r\n",
                                 admin::spelling(request.method), request.path, place_.on_socket() ? "localhost" : place_.to_string());
  if (has_token()) head += fmt::format("Authorization: Bearer {}\r\n", token_);
  if (!request.body.empty()) head += fmt::format("Content-Type: {}\r\n", request.type);
  // Where a method gives content a meaning, none is said too (RFC 9110 §8.6).
  if (!request.body.empty() || request.method != http::Method::get) head += fmt::format("Content-Length: {}\r\n", request.body.size());
  return head + request.fields + "\r\n";
}

AdminFailure AdminClient::cannot_connect(int os_code) const {
  std::string_view cure =
      "Does steelyard run there, with `admin: {}` in its configuration? Where it is elsewhere: --admin ADDRESS or "
      "--config FILE, or STEELYARD_ADMIN in the environment.";
  if (place_.on_socket() && os_code == EACCES) cure = "The socket is open to the user alone as whom steelyard runs: become that user.";
  const char* const why = os_code == timed_out ? "nobody answered within 5 s" : std::strerror(os_code);
  return {"cannot_connect", fmt::format("cannot connect to the admin API at {}: {}. {}", place_.to_string(), why, cure)};
}

AdminFailure AdminClient::no_answer(std::string_view why) const {
  return {"no_answer", fmt::format("the admin API at {} {}", place_.to_string(), why)};
}

std::expected<AdminReply, AdminFailure> AdminClient::ask(const AdminRequest& request) const { return follow(request, {}); }

std::expected<AdminReply, AdminFailure> AdminClient::follow(const AdminRequest& request, const Take& take) const {
  Socket socket;
  if (const int error = connect(socket, place_, address_); error != 0) return std::unexpected(cannot_connect(error));
  Instant deadline = monotonic_now() + answer_timeout;
  // Who refuses a body may answer before all of it is sent, and end.
  const int unsent = socket.send(head_of(request) + request.body, deadline);
  if (unsent == timed_out) return std::unexpected(no_answer("takes nothing: is it stopped, or overloaded?"));
  ResponseCollector collector(request.method, body_bytes_max);
  char memory[64 * 1024];
  for (;;) {
    std::size_t count = 0;
    const int error = socket.receive(memory, count, deadline);
    if (error == timed_out) return std::unexpected(no_answer("is silent: is it stopped, or overloaded?"));
    if (error != 0) return std::unexpected(no_answer(fmt::format("broke the connection: {}", std::strerror(error))));
    const Step step = count == 0 ? collector.end() : collector.take({memory, count});
    if (take && collector.status() == 200) {
      deadline = monotonic_now() + silence_max;
      if (const std::string part = collector.take_body(); !part.empty()) take(part);
    }
    if (step == Step::done) return AdminReply{collector.status(), collector.content_type(), collector.take_body()};
    if (step == Step::too_large) return std::unexpected(no_answer("answers with more than is taken"));
    if (step == Step::more) continue;
    if (count == 0 && !collector.begun()) return std::unexpected(no_answer("closed the connection without an answer"));
    if (count == 0) return std::unexpected(no_answer("ended in the middle of its answer"));
    return std::unexpected(AdminFailure{
        "not_admin_api",
        fmt::format("what listens at {} does not speak HTTP: is it the admin API? --admin says where that is", place_.to_string())});
  }
}

}  // namespace steelyard
