// Children: whoever ends first, the block that started a child waits for it.
#include "runtime/child.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/line.hpp"

namespace steelyard {
namespace child_test {

using testing_support::at_ms;
using testing_support::Line;
using testing_support::turn;

using Order = std::vector<std::string>;

const char* text(WaitResult result) {
  return result == WaitResult::done ? "done" : result == WaitResult::timed_out ? "timed out" : "cancelled";
}

// A child that waits for its own deadline, `step_ms` at a time.
Task<void> work(Order& order, int steps, std::int64_t step_ms) {
  Fiber& fiber = co_await this_fiber();
  for (int i = 0; i < steps; ++i) {
    fiber.set_deadline(fiber.scheduler().now() + std::chrono::milliseconds(step_ms));
    const WaitResult waited = co_await until_deadline();
    if (waited == WaitResult::cancelled) {
      order.emplace_back("child cancelled");
      co_return;
    }
  }
  order.emplace_back("child done");
}

Task<void> parent(Order& order, Scheduler& scheduler, Task<void>& child_work) {
  Child child(scheduler);
  child.start(std::move(child_work));
  co_await child.join();
  order.emplace_back("joined");
}

struct ChildTest : ::testing::Test {
  Scheduler scheduler{at_ms(0)};
  Line line{scheduler};
  Order order;
};

TEST_F(ChildTest, join_waits_for_the_childs_end) {
  auto child_work = work(order, 2, 10);
  line.fiber.start(parent(order, scheduler, child_work));
  turn(scheduler, at_ms(10));
  EXPECT_TRUE(order.empty());
  turn(scheduler, at_ms(20));
  EXPECT_EQ(order, (Order{"child done", "joined"}));
  EXPECT_TRUE(line.finished);
}

TEST_F(ChildTest, a_child_that_has_ended_is_joined_at_once) {
  auto child_work = work(order, 0, 0);
  line.fiber.start(parent(order, scheduler, child_work));
  EXPECT_EQ(order, (Order{"child done", "joined"}));
}

TEST_F(ChildTest, a_child_that_was_never_started_is_joined_at_once) {
  auto root = [](Scheduler& scheduler, Order& order) -> Task<void> {
    Child child(scheduler);
    co_await child.join();
    order.emplace_back("joined");
  };
  line.fiber.start(root(scheduler, order));
  EXPECT_EQ(order, Order{"joined"});
}

TEST_F(ChildTest, cancelling_the_parent_in_join_cancels_the_child_and_waits_for_it) {
  auto child_work = work(order, 1, 1000);
  line.fiber.start(parent(order, scheduler, child_work));
  line.fiber.cancel(Cause::client_gone);
  turn(scheduler, at_ms(1));
  EXPECT_EQ(order, (Order{"child cancelled", "joined"}));
  EXPECT_TRUE(line.finished);
}

TEST_F(ChildTest, a_parent_cancelled_before_it_joins_cancels_the_child) {
  auto root = [](Scheduler& scheduler, Order& order) -> Task<void> {
    Child child(scheduler);
    child.start(work(order, 1, 1000));
    order.emplace_back(text(co_await until_deadline()));
    co_await child.join();
    order.emplace_back("joined");
  };
  line.fiber.start(root(scheduler, order));
  line.fiber.cancel(Cause::client_gone);
  turn(scheduler, at_ms(1));
  EXPECT_EQ(order, (Order{"cancelled", "child cancelled", "joined"}));
}

TEST_F(ChildTest, the_parents_deadline_cancels_the_child) {
  auto child_work = work(order, 1, 1000);
  line.fiber.set_deadline(at_ms(5));
  line.fiber.start(parent(order, scheduler, child_work));
  turn(scheduler, at_ms(5));
  EXPECT_EQ(order, (Order{"child cancelled", "joined"}));
}

TEST_F(ChildTest, the_end_of_the_child_and_the_parents_cancelling_in_one_turn_join_once) {
  auto child_work = work(order, 1, 5);
  line.fiber.start(parent(order, scheduler, child_work));
  scheduler.advance(at_ms(5));
  line.fiber.cancel(Cause::client_gone);
  turn(scheduler);
  EXPECT_EQ(order.back(), "joined");
  EXPECT_TRUE(line.finished);
}

TEST_F(ChildTest, a_child_that_needs_time_to_end_is_still_waited_for) {
  auto stubborn = [](Order& list, Scheduler& of) -> Task<void> {
    Child inner(of);
    inner.start(work(list, 1, 1000));
    co_await until_deadline();
    // Cancelled by now: it ends what it had begun itself first.
    co_await inner.join();
    list.emplace_back("child cleaned up");
  };
  auto child_work = stubborn(order, scheduler);
  line.fiber.start(parent(order, scheduler, child_work));
  line.fiber.cancel(Cause::shutdown);
  turn(scheduler, at_ms(1));
  EXPECT_EQ(order, (Order{"child cancelled", "child cleaned up", "joined"}));
}

TEST_F(ChildTest, a_child_may_interrupt_its_parent) {
  auto interrupting = [](Fiber& parent_fiber) -> Task<void> {
    co_await yield_turn();
    parent_fiber.interrupt();
  };
  auto root = [&interrupting](Scheduler& scheduler, Order& order) -> Task<void> {
    Fiber& fiber = co_await this_fiber();
    Child child(scheduler);
    child.start(interrupting(fiber));
    order.emplace_back(text(co_await until_deadline()));
    co_await child.join();
    order.emplace_back("joined");
  };
  line.fiber.start(root(scheduler, order));
  turn(scheduler, at_ms(1));
  EXPECT_EQ(order, (Order{"cancelled", "joined"}));
}

}  // namespace child_test
}  // namespace steelyard
