// The queue for places: whose turn it is, inside one line and over several.
#include "upstream/wait_queue.hpp"

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <vector>

namespace steelyard {
namespace wait_queue_test {

using Ticket = WaitQueue::Ticket;
using Takes = WaitQueue::Ticket::Takes;
using Entry = WaitQueue::Entry;

// Who is told of a turn is seen at once.
struct Waiter : WaitQueue::Worker {
  Waiter(WaitQueue& queue, std::string_view demand, std::vector<Waiter*>& order, Takes takes = Takes::any_place)
      : Worker(std::make_shared<const std::function<void()>>([this] {
          ++turns;
          told->push_back(this);
          waited->deliver(*this);
        })),
        waited(&queue),
        told(&order),
        ticket(std::make_unique<Ticket>(queue, *this, takes, demand.empty() ? policy::no_kind : policy::kind_of(demand))) {}
  WaitQueue* waited;
  std::vector<Waiter*>* told;
  int turns = 0;
  std::unique_ptr<Ticket> ticket;

  Entry enter() { return waited->enter(*ticket); }
  void fail() { waited->reenter(*ticket); }
  void take() {
    ticket->used();
    ticket.reset();
  }
  void give_up() { ticket.reset(); }
};

struct WaitQueueTest : ::testing::Test {
  WaitQueueTest() { queue.set_limits(10, UINT32_MAX); }
  std::atomic<std::uint32_t> active{0};
  WaitQueue queue{active};
  std::vector<Waiter*> order;
  const policy::Kind gold = policy::kind_of("gold");
  const policy::Kind silver = policy::kind_of("silver");

  void free_place(std::vector<policy::Kind> kinds = {}) { queue.on_place_free(kinds); }
  bool blocks(std::string_view demand) {
    return queue.comes_first(demand.empty() ? std::nullopt : std::optional(policy::Demand{"tier", demand}));
  }
};

TEST_F(WaitQueueTest, first_come_first_served) {
  Waiter one(queue, "", order);
  Waiter two(queue, "", order);
  EXPECT_EQ(one.enter(), Entry::first);
  EXPECT_EQ(two.enter(), Entry::behind_others);
  EXPECT_TRUE(blocks(""));
  free_place();
  EXPECT_EQ(order, std::vector{&one});
  one.take();
  EXPECT_TRUE(blocks(""));
  free_place();
  EXPECT_EQ(two.turns, 1);
  two.take();
  EXPECT_FALSE(queue.busy());
  EXPECT_FALSE(blocks(""));
}

TEST_F(WaitQueueTest, a_turn_that_is_not_used_is_passed_on) {
  Waiter one(queue, "", order);
  Waiter two(queue, "", order);
  one.enter();
  two.enter();
  free_place();
  one.give_up();
  EXPECT_EQ(two.turns, 1);
}

TEST_F(WaitQueueTest, whose_turn_led_to_nothing_stays_before_those_that_came_later) {
  Waiter one(queue, "", order);
  Waiter two(queue, "", order);
  one.enter();
  two.enter();
  free_place();
  one.fail();
  EXPECT_EQ(two.turns, 0) << "who takes any place has shown that there is none";
  free_place();
  EXPECT_EQ(one.turns, 2);
}

TEST_F(WaitQueueTest, a_place_that_became_free_while_the_only_one_was_trying_is_not_lost) {
  Waiter one(queue, "", order);
  one.enter();
  free_place();
  free_place();
  EXPECT_EQ(one.turns, 1);
  one.fail();
  EXPECT_EQ(one.turns, 2);
  one.fail();
  EXPECT_EQ(one.turns, 2);
}

TEST_F(WaitQueueTest, a_place_that_became_free_before_the_next_came_is_not_lost) {
  Waiter one(queue, "", order);
  Waiter two(queue, "", order);
  one.enter();
  free_place();
  free_place();
  EXPECT_EQ(two.enter(), Entry::behind_others);
  one.take();
  EXPECT_EQ(two.turns, 1);
}

TEST_F(WaitQueueTest, who_takes_only_some_places_does_not_keep_one_from_those_behind) {
  Waiter choosy(queue, "", order, Takes::some_places);
  Waiter other(queue, "", order);
  choosy.enter();
  EXPECT_FALSE(blocks(""));
  other.enter();
  free_place();
  choosy.fail();
  EXPECT_EQ(other.turns, 1);
  other.fail();
  EXPECT_EQ(choosy.turns, 1) << "it ends";
}

TEST_F(WaitQueueTest, lines_hold_each_other_up_in_nothing) {
  Waiter one(queue, "gold", order);
  Waiter two(queue, "silver", order);
  one.enter();
  EXPECT_TRUE(blocks("gold"));
  EXPECT_FALSE(blocks("silver"));
  EXPECT_EQ(two.enter(), Entry::first);
  free_place({silver});
  EXPECT_EQ(order, std::vector{&two});
  two.take();
  EXPECT_FALSE(blocks("silver"));
  free_place({silver});
  EXPECT_EQ(one.turns, 0);
  free_place({gold});
  EXPECT_EQ(one.turns, 1);
}

TEST_F(WaitQueueTest, a_line_that_is_full_leaves_room_in_others) {
  queue.set_limits(1, UINT32_MAX);
  Waiter one(queue, "gold", order);
  Waiter two(queue, "gold", order);
  Waiter three(queue, "silver", order);
  EXPECT_EQ(one.enter(), Entry::first);
  EXPECT_EQ(two.enter(), Entry::full);
  EXPECT_EQ(three.enter(), Entry::first);
  EXPECT_EQ(queue.size(), 2U);
  one.give_up();
  EXPECT_EQ(two.enter(), Entry::first);
}

TEST_F(WaitQueueTest, where_a_server_serves_two_lines_who_came_first_is_told_first) {
  Waiter one(queue, "silver", order);
  Waiter two(queue, "gold", order);
  Waiter three(queue, "silver", order);
  for (Waiter* const waiter : {&one, &two, &three}) waiter->enter();
  free_place({gold, silver});
  EXPECT_EQ(order, (std::vector{&one, &two}));
  one.take();
  two.fail();
  free_place({gold, silver});
  EXPECT_EQ(order, (std::vector{&one, &two, &two, &three}));
}

TEST_F(WaitQueueTest, a_place_of_the_whole_pool_goes_to_the_first_of_all_lines) {
  queue.set_limits(10, 1);
  active = 1;
  Waiter one(queue, "gold", order);
  Waiter two(queue, "silver", order);
  one.enter();
  two.enter();
  active = 0;
  free_place({silver});
  ASSERT_EQ(order, (std::vector{&one, &two}));
  active = 1;
  one.take();
  two.fail();
  active = 0;
  free_place({gold});
  EXPECT_EQ(two.turns, 2);
}

TEST_F(WaitQueueTest, a_place_of_the_whole_pool_that_the_first_has_no_use_for_goes_to_the_next_line) {
  queue.set_limits(10, 1);
  active = 1;
  Waiter one(queue, "gold", order);
  Waiter two(queue, "silver", order);
  Waiter three(queue, "bronze", order);
  for (Waiter* const waiter : {&one, &two, &three}) waiter->enter();
  active = 0;
  free_place({gold});
  EXPECT_EQ(order, std::vector{&one});
  one.fail();
  EXPECT_EQ(order, (std::vector{&one, &two}));
  active = 1;
  two.take();
  EXPECT_EQ(three.turns, 0) << "there is none any more";
  active = 0;
  free_place({silver});
  EXPECT_EQ(one.turns, 2);
  one.fail();
  EXPECT_EQ(three.turns, 1);
  three.fail();
  EXPECT_EQ(order.size(), 4U) << "it ends when all have looked";
}

TEST_F(WaitQueueTest, servers_that_come_back_give_everybody_a_turn) {
  Waiter one(queue, "gold", order);
  Waiter two(queue, "", order);
  Waiter three(queue, "gold", order);
  for (Waiter* const waiter : {&one, &two, &three}) waiter->enter();
  queue.grant_all();
  EXPECT_EQ(order, (std::vector{&one, &two, &three}));
}

TEST_F(WaitQueueTest, a_server_whose_pause_is_over_gives_each_line_a_turn) {
  Waiter one(queue, "gold", order);
  Waiter two(queue, "silver", order);
  Waiter three(queue, "gold", order);
  for (Waiter* const waiter : {&one, &two, &three}) waiter->enter();
  queue.grant_each();
  EXPECT_EQ(order, (std::vector{&one, &two}));
}

}  // namespace wait_queue_test
}  // namespace steelyard
