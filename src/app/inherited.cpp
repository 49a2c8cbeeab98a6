#include "app/inherited.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string_view>

#include "base/ascii.hpp"
#include "net/epoll_net.hpp"
#include "observe/message.hpp"

namespace steelyard {
namespace {

constexpr int first_activated = 3;  // SD_LISTEN_FDS_START
constexpr int activated_max = 1024;

std::optional<int> take_number(const char* variable) {
  const char* const text = getenv(variable);
  if (text == nullptr) return std::nullopt;
  const auto number = parse_unsigned<std::uint32_t>(text);
  unsetenv(variable);
  if (!number || *number > INT32_MAX) return std::nullopt;
  return static_cast<int>(*number);
}

bool listens(int descriptor) {
  int listening = 0;
  int domain = 0;
  socklen_t size = sizeof listening;
  if (getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0 || listening == 0) return false;
  size = sizeof domain;
  return getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && (domain == AF_INET || domain == AF_INET6);
}

std::vector<InheritedSocket> take_activated() {
  const auto pid = take_number("LISTEN_PID");
  const auto count = take_number("LISTEN_FDS");
  unsetenv("LISTEN_FDNAMES");  // addresses say enough
  std::vector<InheritedSocket> sockets;
  if (!pid || *pid != getpid()) return sockets;
  for (int i = 0; i < std::min(count.value_or(0), activated_max); ++i) {
    const int descriptor = first_activated + i;
    if (fcntl(descriptor, F_SETFD, FD_CLOEXEC) != 0) continue;
    if (!listens(descriptor)) {
      log_message(LogLevel::warning, "descriptor {} of LISTEN_FDS is no listening TCP socket: it is left alone", descriptor);
      continue;
    }
    const int on = 1;
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // inherited by what is accepted
    fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK);
    const std::string bind = local_address_of(descriptor).to_string();
    const auto first = std::ranges::find(sockets, bind, &InheritedSocket::bind);
    sockets.push_back({bind, first == sockets.end() ? static_cast<std::uint32_t>(i) : first->listener, descriptor});
  }
  return sockets;
}

}  // namespace

Invocation Invocation::of(int argc, char** argv) {
  std::error_code failed;
  const std::filesystem::path binary = std::filesystem::canonical("/proc/self/exe", failed);
  return {failed ? std::string() : binary.string(), {argv, argv + argc}};
}

Inherited Inherited::take() {
  Inherited inherited{.predecessor = take_number(takeover_variable), .sockets = take_activated()};
  if (inherited.predecessor) fcntl(*inherited.predecessor, F_SETFD, FD_CLOEXEC);
  return inherited;
}

}  // namespace steelyard
