// A fiber with an owner that remembers how it ended, and a clock that is moved by hand. For tests of coroutines on one thread.
#pragma once

#include "runtime/fiber.hpp"
#include "runtime/task.hpp"

namespace steelyard::testing_support {

constexpr Instant at_ms(std::int64_t ms) { return Instant{ms * 1'000'000}; }

class Line final : private Fiber::Owner {
 public:
  explicit Line(Scheduler& scheduler) : fiber(scheduler, *this) {}
  Fiber fiber;
  bool finished = false;

 private:
  void on_finished(Fiber& /*fiber*/) override { finished = true; }
};

// One turn of a driver: to `now`, then everything that is ready, until nothing is.
inline void turn(Scheduler& scheduler, Instant now) {
  scheduler.advance(now);
  do {
    scheduler.run_ready();
  } while (scheduler.has_ready());
}
inline void turn(Scheduler& scheduler) { turn(scheduler, scheduler.now()); }

}  // namespace steelyard::testing_support
