// Fibers: how each kind of wait ends, by what it waited for, by a deadline, by cancelling, and by several of them at once.
#include "runtime/fiber.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "runtime/task.hpp"
#include "support/line.hpp"

namespace steelyard {
namespace fiber_test {

using testing_support::at_ms;
using testing_support::Line;
using testing_support::turn;

// A wait that the test ends, as a stream's event would.
class Gate {
 public:
  class Wait final : public Operation {
   public:
    explicit Wait(Gate& gate) : gate_(gate) {}
    bool await_ready() noexcept { return false; }
    template <typename CallerPromise>
    bool await_suspend(std::coroutine_handle<CallerPromise> caller) noexcept {
      if (!suspend(*caller.promise().fiber, caller)) return false;
      gate_.waiting_ = this;
      return true;
    }
    WaitResult await_resume() noexcept { return result_; }
    void withdraw() override { gate_.waiting_ = nullptr; }

   private:
    Gate& gate_;
  };
  Wait pass() { return Wait(*this); }
  void open() { std::exchange(waiting_, nullptr)->complete(WaitResult::done); }
  void open_later() { std::exchange(waiting_, nullptr)->complete_later(WaitResult::done); }
  [[nodiscard]] bool awaited() const { return waiting_ != nullptr; }

 private:
  Wait* waiting_ = nullptr;
};

using Results = std::vector<WaitResult>;

Task<void> pass(Gate& gate, Results& results, int times = 1) {
  for (int i = 0; i < times; ++i) results.push_back(co_await gate.pass());
}

Task<void> wait_for_deadline(Results& results) { results.push_back(co_await until_deadline()); }
Task<void> yield(Results& results) { results.push_back(co_await yield_turn()); }

struct FiberTest : ::testing::Test {
  Scheduler scheduler{at_ms(1000)};
  Gate gate;
  Results results;
  Line line{scheduler};
};

TEST_F(FiberTest, a_task_that_never_waits_ends_within_start) {
  auto nothing = []() -> Task<void> { co_return; };
  line.fiber.start(nothing());
  EXPECT_TRUE(line.finished);
  EXPECT_FALSE(line.fiber.running());
}

TEST_F(FiberTest, a_wait_ends_with_what_it_waited_for) {
  line.fiber.start(pass(gate, results));
  EXPECT_TRUE(line.fiber.running());
  gate.open();
  EXPECT_TRUE(line.finished);
  EXPECT_EQ(results, Results{WaitResult::done});
}

TEST_F(FiberTest, cancelling_ends_a_wait_after_what_runs_now) {
  line.fiber.start(pass(gate, results));
  line.fiber.cancel(Cause::client_gone);
  EXPECT_FALSE(line.finished);
  EXPECT_FALSE(gate.awaited());
  scheduler.run_ready();
  EXPECT_TRUE(line.finished);
  EXPECT_EQ(results, Results{WaitResult::cancelled});
}

TEST_F(FiberTest, a_cancelled_fiber_does_not_suspend_any_more) {
  line.fiber.cancel(Cause::shutdown);
  auto all = [](Gate& gate, Results& results) -> Task<void> {
    co_await pass(gate, results, 2);
    co_await wait_for_deadline(results);
    co_await yield(results);
  };
  line.fiber.start(all(gate, results));
  EXPECT_TRUE(line.finished);
  EXPECT_EQ(results, Results(4, WaitResult::cancelled));
}

TEST_F(FiberTest, the_first_cause_stays) {
  line.fiber.cancel(Cause::client_gone);
  line.fiber.cancel(Cause::shutdown);
  EXPECT_EQ(line.fiber.cause(), Cause::client_gone);
}

TEST_F(FiberTest, interrupting_ends_one_wait_only) {
  line.fiber.start(pass(gate, results, 2));
  line.fiber.interrupt();
  scheduler.run_ready();
  EXPECT_EQ(results, Results{WaitResult::cancelled});
  EXPECT_EQ(line.fiber.cause(), Cause::none);
  ASSERT_TRUE(gate.awaited());
  gate.open();
  EXPECT_EQ(results, (Results{WaitResult::cancelled, WaitResult::done}));
}

TEST_F(FiberTest, interrupting_a_fiber_that_does_not_wait_does_nothing) {
  line.fiber.interrupt();
  line.fiber.start(pass(gate, results));
  gate.open();
  EXPECT_EQ(results, Results{WaitResult::done});
}

TEST_F(FiberTest, completed_and_cancelled_in_the_same_turn_resumes_once_as_cancelled) {
  line.fiber.start(pass(gate, results));
  gate.open_later();
  line.fiber.cancel(Cause::sibling_done);
  scheduler.run_ready();
  EXPECT_TRUE(line.finished);
  EXPECT_EQ(results, Results{WaitResult::cancelled});
}

TEST_F(FiberTest, cancelled_and_expired_in_the_same_turn_is_cancelled) {
  line.fiber.set_deadline(at_ms(1005));
  line.fiber.start(pass(gate, results));
  line.fiber.cancel(Cause::shutdown);
  scheduler.advance(at_ms(1010));
  scheduler.run_ready();
  EXPECT_EQ(results, Results{WaitResult::cancelled});
}

TEST_F(FiberTest, what_is_done_before_the_deadline_is_looked_at_is_done) {
  line.fiber.set_deadline(at_ms(1005));
  line.fiber.start(pass(gate, results));
  gate.open_later();
  scheduler.advance(at_ms(1010));
  scheduler.run_ready();
  EXPECT_EQ(results, Results{WaitResult::done});
}

TEST_F(FiberTest, a_deadline_ends_every_kind_of_wait_and_not_early) {
  line.fiber.set_deadline(at_ms(1005));
  line.fiber.start(pass(gate, results));
  Results other_results;
  Line other(scheduler);
  other.fiber.set_deadline(at_ms(1005));
  other.fiber.start(wait_for_deadline(other_results));
  turn(scheduler, Instant{1'004'999'999});
  EXPECT_TRUE(results.empty());
  EXPECT_TRUE(other_results.empty());
  turn(scheduler, at_ms(1005));
  EXPECT_EQ(results, Results{WaitResult::timed_out});
  EXPECT_EQ(other_results, Results{WaitResult::timed_out});
  EXPECT_FALSE(gate.awaited());
}

TEST_F(FiberTest, a_deadline_moved_later_during_the_wait_holds) {
  line.fiber.set_deadline(at_ms(1005));
  line.fiber.start(pass(gate, results));
  line.fiber.set_deadline(at_ms(1050));
  turn(scheduler, at_ms(1049));
  EXPECT_TRUE(results.empty());
  turn(scheduler, at_ms(1050));
  EXPECT_EQ(results, Results{WaitResult::timed_out});
}

TEST_F(FiberTest, a_deadline_moved_earlier_during_the_wait_holds) {
  line.fiber.set_deadline(at_ms(9000));
  line.fiber.start(pass(gate, results));
  line.fiber.set_deadline(at_ms(1003));
  turn(scheduler, at_ms(1003));
  EXPECT_EQ(results, Results{WaitResult::timed_out});
}

TEST_F(FiberTest, a_deadline_moved_later_and_then_earlier_again_holds) {
  line.fiber.set_deadline(at_ms(1005));
  line.fiber.start(pass(gate, results));
  line.fiber.set_deadline(at_ms(5000));
  turn(scheduler, at_ms(1006));
  line.fiber.set_deadline(at_ms(1010));
  turn(scheduler, at_ms(1010));
  EXPECT_EQ(results, Results{WaitResult::timed_out});
}

TEST_F(FiberTest, a_cleared_deadline_ends_nothing) {
  line.fiber.set_deadline(at_ms(1005));
  line.fiber.start(pass(gate, results));
  line.fiber.clear_deadline();
  turn(scheduler, at_ms(100'000));
  EXPECT_TRUE(results.empty());
  gate.open();
  EXPECT_EQ(results, Results{WaitResult::done});
}

TEST_F(FiberTest, waits_begun_after_the_deadline_has_passed_end_too) {
  line.fiber.set_deadline(at_ms(1005));
  line.fiber.start(pass(gate, results, 3));
  turn(scheduler, at_ms(1005));
  turn(scheduler, at_ms(1006));
  turn(scheduler, at_ms(1007));
  EXPECT_EQ(results, Results(3, WaitResult::timed_out));
  EXPECT_TRUE(line.finished);
}

TEST_F(FiberTest, a_fiber_that_has_finished_leaves_no_timer_behind) {
  line.fiber.set_deadline(at_ms(1005));
  line.fiber.start(pass(gate, results));
  gate.open();
  EXPECT_EQ(scheduler.timers().next(), never);
}

TEST_F(FiberTest, until_deadline_is_ended_by_cancelling) {
  line.fiber.start(wait_for_deadline(results));
  line.fiber.cancel(Cause::shutdown);
  scheduler.run_ready();
  EXPECT_EQ(results, Results{WaitResult::cancelled});
}

TEST_F(FiberTest, who_yields_goes_on_in_the_next_turn_after_those_who_wake_in_this_one) {
  Results yielded;
  Line other(scheduler);
  other.fiber.start(yield(yielded));
  line.fiber.start(pass(gate, results));
  gate.open_later();
  scheduler.run_woken();
  EXPECT_EQ(results, Results{WaitResult::done});
  EXPECT_TRUE(yielded.empty());
  EXPECT_TRUE(scheduler.has_ready());
  scheduler.run_ready();
  EXPECT_EQ(yielded, Results{WaitResult::done});
}

TEST_F(FiberTest, one_turn_ends_although_somebody_yields_for_ever) {
  auto busy = [](int& rounds) -> Task<void> {
    while (co_await yield_turn() == WaitResult::done) ++rounds;
  };
  int rounds = 0;
  line.fiber.start(busy(rounds));
  scheduler.run_ready();
  scheduler.run_ready();
  EXPECT_EQ(rounds, 2);
  line.fiber.cancel(Cause::shutdown);
  scheduler.run_ready();
  EXPECT_TRUE(line.finished);
}

TEST_F(FiberTest, cancelling_ends_a_yield) {
  line.fiber.start(yield(results));
  line.fiber.cancel(Cause::shutdown);
  scheduler.run_ready();
  EXPECT_EQ(results, Results{WaitResult::cancelled});
}

TEST_F(FiberTest, the_owner_may_destroy_the_fiber_when_it_has_finished) {
  struct Owner final : Fiber::Owner {
    explicit Owner(Scheduler& of) : fiber(std::make_unique<Fiber>(of, *this)) {}
    void on_finished(Fiber& /*fiber*/) override { fiber.reset(); }
    std::unique_ptr<Fiber> fiber;
  };
  Owner waits(scheduler);
  waits.fiber->set_deadline(at_ms(2000));
  waits.fiber->start(pass(gate, results));
  gate.open();
  EXPECT_EQ(waits.fiber, nullptr);
  EXPECT_EQ(scheduler.timers().next(), never);
}

TEST_F(FiberTest, what_a_frame_holds_is_destroyed_before_the_owner_is_told) {
  struct Owner final : Fiber::Owner {
    explicit Owner(Scheduler& of) : fiber(of, *this) {}
    void on_finished(Fiber& /*fiber*/) override { order.push_back("told"); }
    std::vector<std::string> order;
    Fiber fiber;
  } owner(scheduler);
  struct Noted {
    explicit Noted(std::vector<std::string>& list) : order(list) {}
    ~Noted() { order.push_back("destroyed"); }
    std::vector<std::string>& order;
  };
  auto hold = [](Gate& gate, std::vector<std::string>& order) -> Task<void> {
    const Noted noted(order);
    co_await gate.pass();
  };
  owner.fiber.start(hold(gate, owner.order));
  gate.open();
  EXPECT_EQ(owner.order, (std::vector<std::string>{"destroyed", "told"}));
}

}  // namespace fiber_test
}  // namespace steelyard
