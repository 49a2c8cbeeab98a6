#include "app/notify.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "base/ascii.hpp"

namespace steelyard {
namespace {

std::string_view variable(const char* name) {
  const char* const text = getenv(name);
  return text == nullptr ? std::string_view() : text;
}

}  // namespace

Notify Notify::from_environment() {
  Notify notify;
  const std::string_view socket = variable("NOTIFY_SOCKET");
  const bool known = socket.starts_with('/') || socket.starts_with('@');
  if (known && socket.size() < sizeof sockaddr_un{}.sun_path) notify.socket_ = socket;
  const auto usec = parse_unsigned<std::int64_t>(variable("WATCHDOG_USEC"));
  // sd_watchdog_enabled(3): it is for that process only.
  const std::string_view for_whom = variable("WATCHDOG_PID");
  const bool ours = for_whom.empty() || for_whom == std::to_string(getpid());
  if (usec && *usec != 0 && ours && !notify.socket_.empty()) notify.watchdog_ = std::chrono::microseconds(*usec);
  return notify;
}

void Notify::send(std::string_view lines) const {
  if (socket_.empty()) return;
  const int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (descriptor < 0) return;
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  std::memcpy(address.sun_path, socket_.data(), socket_.size());
  if (socket_.front() == '@') address.sun_path[0] = '\0';
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket_.size());
  sendto(descriptor, lines.data(), lines.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address), size);
  close(descriptor);
}

void Notify::status(std::string_view text) const { send("STATUS=" + std::string(text)); }

}  // namespace steelyard
