// One thread's event loop over epoll. Every descriptor is registered once, edge-triggered, for reading and writing, and never
// modified: the keep-alive path makes no epoll_ctl call. Only post() and stop() may be called from other threads.
#pragma once

#include <sys/epoll.h>

#include <atomic>
#include <functional>
#include <mutex>
#include <vector>

#include "base/error.hpp"
#include "base/time.hpp"
#include "runtime/scheduler.hpp"

namespace steelyard {

// Something registered with a loop under one descriptor.
class Pollable {
 public:
  virtual void on_events(std::uint32_t epoll_events) = 0;

 protected:
  ~Pollable() = default;
};

class EpollLoop {
 public:
  // `spin`: how long to poll after the last event before sleeping; 0 for never.
  explicit EpollLoop(Duration spin = Duration{0});
  EpollLoop(const EpollLoop&) = delete;
  EpollLoop& operator=(const EpollLoop&) = delete;
  ~EpollLoop();

  [[nodiscard]] Scheduler& scheduler() { return scheduler_; }
  Result<void> add(int descriptor, Pollable& pollable);
  // Before a pollable is destroyed and its descriptor closed: no event of it is delivered any more. Closing alone does not do that where
  // another process has the same socket, be it the new one of an upgrade, or a child that has not yet begun its program.
  void remove(int descriptor, Pollable& pollable);

  // Runs until stop().
  void run();
  // Runs `work` on the loop's thread, soon.
  void post(std::function<void()> work);
  void stop() {
    post([this] { stopping_ = true; });
  }

 private:
  static constexpr int events_max = 256;

  int wait();
  void run_posted();
  void compare_clocks();

  Scheduler scheduler_;
  int epoll_ = -1;
  int wake_ = -1;
  Duration spin_;
  Instant last_event_;
  Instant next_clock_check_;
  bool stopping_ = false;
  epoll_event events_[events_max];
  int event_index_ = 0;
  int event_count_ = 0;
  std::mutex mutex_;
  std::vector<std::function<void()>> posted_;
};

// The monotonic clock.
Instant monotonic_now();

}  // namespace steelyard
