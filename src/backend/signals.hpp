// SIGTERM and SIGINT as events of a loop. They are blocked for good: the process ends by them in order or not at all. One for each
// process that runs a server of this library, owned by what runs it, on the loop's thread.
#pragma once

#include <cstdint>
#include <functional>

#include "net/epoll_loop.hpp"

namespace steelyard::backend {

class Signals final : public Pollable {
 public:
  // `on_signal` is called once for each.
  Signals(EpollLoop& loop, std::function<void()> on_signal);
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;
  ~Signals();

  void on_events(std::uint32_t events) override;

 private:
  EpollLoop& loop_;
  std::function<void()> on_signal_;
  int descriptor_ = -1;
};

}  // namespace steelyard::backend
