// What the service manager is told of this process: the datagrams of sd_notify(3), which are all that is needed of libsystemd. That
// library would be a dependency at run time for one system call, and the protocol is promised to stay as it is (systemd.io, "Interface
// Portability And Stability Promise"). Any thread may send.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/time.hpp"

namespace steelyard {

class Notify {
 public:
  // Where NOTIFY_SOCKET and WATCHDOG_USEC say; silent without. The variables stay, because they are for a successor, too.
  static Notify from_environment();

  // Lines such as "READY=1". Never waits; what cannot be sent is dropped.
  void send(std::string_view lines) const;
  void status(std::string_view text) const;  // one line for people
  // How often a sign of life is wanted at least; nothing: none is.
  [[nodiscard]] std::optional<Duration> watchdog() const { return watchdog_; }

 private:
  std::string socket_;  // a path, or "@name" in the abstract namespace; "": none
  std::optional<Duration> watchdog_;
};

}  // namespace steelyard
