// Tasks: values, nesting, and that depth of the stack does not grow with what is awaited.
#include "runtime/task.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "support/line.hpp"

namespace steelyard {
namespace task_test {

using testing_support::at_ms;
using testing_support::Line;

struct TaskTest : ::testing::Test {
  Scheduler scheduler{at_ms(0)};
  Line line{scheduler};
};

Task<int> number(int value) { co_return value; }

TEST_F(TaskTest, a_task_is_lazy_and_one_that_is_never_awaited_is_freed) {
  bool ran = false;
  auto body = [](bool& flag) -> Task<void> {
    flag = true;
    co_return;
  };
  {
    const Task<void> dropped = body(ran);
  }
  EXPECT_FALSE(ran);
}

TEST_F(TaskTest, a_million_awaits_of_tasks_that_do_not_wait_use_no_stack) {
  auto sum = [](std::int64_t& total) -> Task<void> {
    for (int i = 0; i < 1'000'000; ++i) total += co_await number(1);
  };
  std::int64_t total = 0;
  line.fiber.start(sum(total));
  EXPECT_EQ(total, 1'000'000);
  EXPECT_TRUE(line.finished);
}

// Each level begins from within the one above and ends into it: both directions are transfers, not calls.
Task<int> nested(int depth) {
  if (depth == 0) co_return 0;
  const int below = co_await nested(depth - 1);
  co_return below + 1;
}

TEST_F(TaskTest, tasks_nested_a_hundred_thousand_deep_use_no_stack) {
  auto root = [](int& result) -> Task<void> { result = co_await nested(100'000); };
  int result = 0;
  line.fiber.start(root(result));
  EXPECT_EQ(result, 100'000);
}

TEST_F(TaskTest, values_that_can_only_be_moved_are_moved_out) {
  auto make = []() -> Task<std::unique_ptr<std::string>> { co_return std::make_unique<std::string>("moved"); };
  auto root = [&make](std::string& into) -> Task<void> {
    const auto got = co_await make();
    into = *got;
  };
  std::string into;
  line.fiber.start(root(into));
  EXPECT_EQ(into, "moved");
}

TEST_F(TaskTest, every_task_of_a_line_runs_in_its_fiber) {
  auto inner = [](Fiber*& fiber) -> Task<void> { fiber = &co_await this_fiber(); };
  auto root = [&inner](Fiber*& fiber) -> Task<void> { co_await inner(fiber); };
  Fiber* fiber = nullptr;
  line.fiber.start(root(fiber));
  EXPECT_EQ(fiber, &line.fiber);
}

TEST_F(TaskTest, an_awaited_task_may_sit_in_a_condition) {
  auto root = [](int& count) -> Task<void> {
    while (co_await number(count) < 5) ++count;
    if (co_await number(count) == 5 && co_await number(1) == 1) ++count;
  };
  int count = 0;
  line.fiber.start(root(count));
  EXPECT_EQ(count, 6);
}

}  // namespace task_test
}  // namespace steelyard
