// Signs of life for the service manager: WATCHDOG=1 twice in each of its intervals, as long as the control loop turns and every worker has
// answered since the last one. A worker that hangs ends them, and the manager ends the process. On the control thread, owned by the
// service.
#pragma once

#include <atomic>
#include <functional>
#include <memory>

#include "app/notify.hpp"
#include "net/epoll_loop.hpp"

namespace steelyard {

class Watchdog final : private Timer {
 public:
  // `ask` has each worker call its argument, on whatever thread; it returns how many will.
  using Ask = std::function<std::size_t(const std::function<void()>& answer)>;

  // Silent where no signs are wanted.
  Watchdog(EpollLoop& loop, const Notify& notify, Ask ask) : loop_(loop), notify_(notify), ask_(std::move(ask)) {}
  ~Watchdog() { disarm(); }

  void start();
  void stop() { disarm(); }

 private:
  void on_expired() override;

  EpollLoop& loop_;
  const Notify& notify_;
  Ask ask_;
  // Shared with answers that come late.
  std::shared_ptr<std::atomic<std::size_t>> answers_ = std::make_shared<std::atomic<std::size_t>>(0);
  std::size_t asked_ = 0;
};

}  // namespace steelyard
