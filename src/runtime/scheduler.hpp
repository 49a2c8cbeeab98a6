// What the coroutines of one thread share: the time of this turn, the timers, and the operations that may go on. It waits for
// nothing itself: the epoll loop and the simulator drive it.
#pragma once

#include <coroutine>

#include "base/intrusive_list.hpp"
#include "base/time.hpp"
#include "runtime/timer_wheel.hpp"

namespace steelyard {

class Operation;

class Scheduler {
 public:
  explicit Scheduler(Instant now);
  ~Scheduler();

  [[nodiscard]] Instant now() const { return now_; }
  [[nodiscard]] TimerWheel& timers() { return timers_; }

  // Microseconds since 1970 for this turn: the monotonic time plus an offset that the driver keeps up to date, so that time does
  // not run backwards within a turn and costs nothing to ask for.
  [[nodiscard]] std::int64_t unix_us() const { return now_.ns / 1000 + unix_offset_us_; }
  void set_unix_offset_us(std::int64_t offset) { unix_offset_us_ = offset; }

  // Sets the time and fires the timers that are due.
  void advance(Instant now);
  // Resumes `operation` in this turn, after what runs now.
  void make_ready(Operation& operation);
  // Resumes `operation` in the next turn, after the driver has looked at its events and at the time.
  void make_ready_next_turn(Operation& operation);
  // The driver must not wait for events.
  [[nodiscard]] bool has_ready() const { return !ready_.empty() || !next_turn_.empty(); }
  // Begins a turn: resumes everything that is ready, including what becomes ready meanwhile, but not what waits for the next
  // turn by then.
  void run_ready();
  // The same within a turn: what has become ready by an event.
  void run_woken();

 private:
  Instant now_;
  std::int64_t unix_offset_us_ = 0;
  TimerWheel timers_;
  IntrusiveList<Operation> ready_;
  IntrusiveList<Operation> next_turn_;
};

}  // namespace steelyard
