#include "load/dispatcher.hpp"

#include <gtest/gtest.h>

#include <deque>

#include "support/line.hpp"

namespace steelyard::load {
namespace dispatcher_test {

using testing_support::at_ms;

class Listed final : public Schedule {
 public:
  explicit Listed(std::deque<Due> due) : due_(std::move(due)) {}
  std::optional<Due> next() override {
    if (due_.empty()) return std::nullopt;
    Due first = std::move(due_.front());
    due_.pop_front();
    return first;
  }

 private:
  std::deque<Due> due_;
};

std::unique_ptr<Schedule> every_10_ms(int count) {
  std::deque<Due> due;
  for (int i = 0; i < count; ++i) due.push_back({i * 10ms, "/" + std::to_string(i)});
  return std::make_unique<Listed>(std::move(due));
}

Limits from_second_1() { return {.start = at_ms(1000), .count_from = at_ms(1000)}; }

TEST(Dispatcher, a_closed_loop_has_a_request_whenever_it_is_asked) {
  Dispatcher dispatcher(from_second_1(), nullptr);
  for (const Instant now : {at_ms(1000), at_ms(1000), at_ms(1700)}) EXPECT_EQ(dispatcher.take(now)->due, now);
}

TEST(Dispatcher, ends_after_so_many_counted_ones) {
  Limits limits = from_second_1();
  limits.counted_max = 2;
  limits.count_from = at_ms(1005);
  Dispatcher dispatcher(limits, nullptr);
  EXPECT_FALSE(dispatcher.take(at_ms(1004))->counted);
  EXPECT_EQ(dispatcher.take(at_ms(1005))->number, 0U);
  EXPECT_EQ(dispatcher.take(at_ms(1006))->number, 1U);
  EXPECT_FALSE(dispatcher.take(at_ms(1007)).has_value());
  EXPECT_TRUE(dispatcher.over());
}

TEST(Dispatcher, ends_at_the_end) {
  Limits limits = from_second_1();
  limits.end = at_ms(1010);
  Dispatcher dispatcher(limits, nullptr);
  EXPECT_TRUE(dispatcher.take(at_ms(1009)).has_value());
  EXPECT_FALSE(dispatcher.over());
  EXPECT_FALSE(dispatcher.take(at_ms(1010)).has_value());
  EXPECT_TRUE(dispatcher.over());
}

TEST(Dispatcher, an_open_loop_has_a_request_when_it_is_due_and_not_before) {
  Dispatcher dispatcher(from_second_1(), every_10_ms(2));
  EXPECT_EQ(dispatcher.next_due(), at_ms(1000));
  EXPECT_EQ(dispatcher.take(at_ms(1001))->target, "/0");
  EXPECT_EQ(dispatcher.next_due(), at_ms(1010));
  EXPECT_FALSE(dispatcher.take(at_ms(1009)).has_value());
  EXPECT_FALSE(dispatcher.over());
  EXPECT_EQ(dispatcher.take(at_ms(1010))->target, "/1");
  EXPECT_TRUE(dispatcher.over());
  EXPECT_EQ(dispatcher.next_due(), never);
}

TEST(Dispatcher, what_nobody_could_take_waits_with_its_due_time) {
  Dispatcher dispatcher(from_second_1(), every_10_ms(3));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(dispatcher.take(at_ms(5000))->due, at_ms(1000 + 10 * i));
  EXPECT_FALSE(dispatcher.take(at_ms(5000)).has_value());
}

TEST(Dispatcher, what_was_due_before_the_end_is_taken_after_it_too) {
  Limits limits = from_second_1();
  limits.end = at_ms(1020);
  Dispatcher dispatcher(limits, every_10_ms(9));
  EXPECT_EQ(dispatcher.take(at_ms(5000))->due, at_ms(1000));
  EXPECT_EQ(dispatcher.take(at_ms(5000))->due, at_ms(1010));
  EXPECT_FALSE(dispatcher.take(at_ms(5000)).has_value());
  EXPECT_TRUE(dispatcher.over());
}

TEST(Dispatcher, an_empty_schedule_is_over) { EXPECT_TRUE(Dispatcher(from_second_1(), every_10_ms(0)).over()); }

TEST(Dispatcher, nothing_is_taken_once_it_was_stopped) {
  Dispatcher dispatcher(from_second_1(), every_10_ms(3));
  dispatcher.stop();
  EXPECT_FALSE(dispatcher.take(at_ms(5000)).has_value());
  EXPECT_EQ(dispatcher.next_due(), never);
}

TEST(Share, parts_add_up_to_the_whole) {
  for (const std::uint64_t total : {0U, 1U, 7U, 1000U}) {
    std::uint64_t sum = 0;
    for (std::uint32_t i = 0; i < 3; ++i) sum += Share{i, 3}.of(total);
    EXPECT_EQ(sum, total);
  }
}

}  // namespace dispatcher_test
}  // namespace steelyard::load
