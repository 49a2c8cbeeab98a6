#include "load/alarm.hpp"

#include <sys/timerfd.h>
#include <unistd.h>

#include <utility>

namespace steelyard::load {

Alarm::Alarm(EpollLoop& loop) : loop_(loop), descriptor_(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)) {
  SY_ASSERT(descriptor_ >= 0 && loop_.add(descriptor_, *this).has_value());
}

Alarm::~Alarm() {
  loop_.remove(descriptor_, *this);
  close(descriptor_);
}

Readiness::Wait Alarm::wait_until(Instant at) {
  // A time that has passed rings at once; 0 would disarm.
  const std::int64_t ns = at.ns > 0 ? at.ns : 1;
  const itimerspec when{.it_interval = {}, .it_value = {.tv_sec = ns / 1'000'000'000, .tv_nsec = ns % 1'000'000'000}};
  rung_ = false;
  SY_ASSERT(timerfd_settime(descriptor_, TFD_TIMER_ABSTIME, &when, nullptr) == 0);
  return {rung_, waiting_};
}

// The descriptor is never read: each ringing is an edge of its own.
void Alarm::on_events(std::uint32_t /*epoll_events*/) {
  rung_ = true;
  if (waiting_ != nullptr) std::exchange(waiting_, nullptr)->complete(WaitResult::done);
}

}  // namespace steelyard::load
