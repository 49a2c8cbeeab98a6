// A moment to wait for, met more exactly than the timer wheel's millisecond: by a timerfd, whose event the loop sees within some tens
// of microseconds. For one fiber at a time, on the loop's thread.
#pragma once

#include "net/epoll_loop.hpp"
#include "net/stream.hpp"

namespace steelyard::load {

class Alarm final : public Pollable {
 public:
  explicit Alarm(EpollLoop& loop);
  Alarm(const Alarm&) = delete;
  Alarm& operator=(const Alarm&) = delete;
  ~Alarm();

  // co_await: done when `at` has passed.
  Readiness::Wait wait_until(Instant at);
  void on_events(std::uint32_t epoll_events) override;

 private:
  EpollLoop& loop_;
  int descriptor_ = -1;
  bool rung_ = false;
  Readiness::Wait* waiting_ = nullptr;
};

}  // namespace steelyard::load
