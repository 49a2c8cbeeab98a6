#include "net/epoll_loop.hpp"

#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/assert.hpp"

namespace steelyard {

Instant monotonic_now() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return Instant{time.tv_sec * 1'000'000'000 + time.tv_nsec};
}

EpollLoop::EpollLoop(Duration spin) : scheduler_(monotonic_now()), spin_(spin) {
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  wake_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  SY_ASSERT(epoll_ >= 0 && wake_ >= 0);
  epoll_event event{.events = EPOLLIN, .data = {.ptr = nullptr}};
  SY_ASSERT(epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &event) == 0);
  compare_clocks();
}

EpollLoop::~EpollLoop() {
  close(wake_);
  close(epoll_);
}

Result<void> EpollLoop::add(int descriptor, Pollable& pollable) {
  epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data = {.ptr = &pollable}};
  if (epoll_ctl(epoll_, EPOLL_CTL_ADD, descriptor, &event) != 0) return fail(ErrorKind::resources, Side::local, Retry::never, errno);
  return {};
}

void EpollLoop::remove(int descriptor, Pollable& pollable) {
  epoll_ctl(epoll_, EPOLL_CTL_DEL, descriptor, nullptr);
  for (int i = event_index_ + 1; i < event_count_; ++i) {
    if (events_[i].data.ptr == &pollable) events_[i].data.ptr = this;
  }
}

int EpollLoop::wait() {
  if (scheduler_.has_ready()) return epoll_wait(epoll_, events_, events_max, 0);
  const Instant next = scheduler_.timers().next();
  if (spin_.count() > 0) {
    const int count = epoll_wait(epoll_, events_, events_max, 0);
    const Instant now = monotonic_now();
    if (count > 0) last_event_ = now;
    if (count != 0 || now - last_event_ < spin_ || next <= now) return count;
  }
  int timeout_ms = -1;
  if (next != never) {
    const Duration left = next - scheduler_.now();
    // Rounded up: waking just before a timer is due would spin until it is.
    timeout_ms = left.count() <= 0 ? 0 : static_cast<int>(std::min<std::int64_t>((left.count() + 999'999) / 1'000'000, 60'000));
  }
  const int count = epoll_wait(epoll_, events_, events_max, timeout_ms);
  if (spin_.count() > 0) last_event_ = monotonic_now();
  return count;
}

void EpollLoop::run() {
  while (!stopping_) {
    event_count_ = 0;
    const int count = wait();
    SY_ASSERT(count >= 0 || errno == EINTR);
    // Set before anything runs: timers may destroy pollables that have events here.
    event_count_ = std::max(count, 0);
    event_index_ = -1;
    scheduler_.advance(monotonic_now());
    if (scheduler_.now() >= next_clock_check_) compare_clocks();
    scheduler_.run_ready();
    for (event_index_ = 0; event_index_ < event_count_; ++event_index_) {
      void* const to = events_[event_index_].data.ptr;
      if (to == nullptr) {
        run_posted();
      } else if (to != this) {
        static_cast<Pollable*>(to)->on_events(events_[event_index_].events);
        scheduler_.run_woken();
      }
    }
  }
}

void EpollLoop::compare_clocks() {
  timespec time{};
  clock_gettime(CLOCK_REALTIME, &time);
  scheduler_.set_unix_offset_us(time.tv_sec * 1'000'000 + time.tv_nsec / 1000 - scheduler_.now().ns / 1000);
  next_clock_check_ = scheduler_.now() + 1s;
}

void EpollLoop::post(std::function<void()> work) {
  {
    const std::lock_guard lock(mutex_);
    posted_.push_back(std::move(work));
  }
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(wake_, &one, sizeof one);
}

void EpollLoop::run_posted() {
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = read(wake_, &count, sizeof count);
  std::vector<std::function<void()>> work;
  {
    const std::lock_guard lock(mutex_);
    work.swap(posted_);
  }
  for (const auto& item : work) item();
  scheduler_.run_woken();
}

}  // namespace steelyard
