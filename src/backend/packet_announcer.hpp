// A packet server that tells the proxy of itself: sends its setup message until the proxy has taken it, and again and again where it has
// a lease. The proxy answers nothing to that, so that nobody knows here whether it agreed, unless it says what was wrong. One for each
// server, owned by whoever runs it, on the loop's thread.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/prng.hpp"
#include "net/epoll_net.hpp"
#include "runtime/fiber.hpp"
#include "runtime/task.hpp"
#include "wire/packet/message.hpp"

namespace steelyard::backend {

class PacketAnnouncer final : private Fiber::Owner {
 public:
  // `seed` is of the jitter.
  PacketAnnouncer(EpollLoop& loop, const SocketAddress& proxy, packet::Setup setup, std::uint64_t seed);

  void start() { fiber_.start(stay()); }
  // Calls `done`, once, when it has ended. There is no message to leave with: the proxy finds out.
  void stop(std::function<void()> done);

 private:
  Task<void> stay();
  Task<std::optional<std::string>> announce();
  Duration judge(const std::optional<std::string>& problem);
  void on_finished(Fiber& fiber) override;

  Scheduler& scheduler_;
  EpollConnector connector_;
  SocketAddress proxy_;
  packet::Setup setup_;
  Prng prng_;
  bool announced_ = false;
  std::uint32_t failures_in_row_ = 0;
  std::string problem_;  // that was told last
  std::function<void()> done_;
  Fiber fiber_;
};

}  // namespace steelyard::backend
