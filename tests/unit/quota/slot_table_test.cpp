// What other threads may do in the middle of an update, step by step: the callbacks of update() are called between its steps, and
// what they do to the table is what another thread would have done there. The races themselves are in local_table_threads_test.cpp.
#include "quota/slot_table.hpp"

#include <gtest/gtest.h>

#include <functional>

namespace steelyard::quota {
namespace slot_table_test {

Loss worth(State state) { return {state.low, 1}; }

class SlotTableTest : public ::testing::Test {
 protected:
  // Of a table with a single set. All prefer the same slot.
  static std::uint64_t key(std::uint64_t number) { return number << 3U | 1; }

  void add(std::uint64_t hash, std::uint64_t amount = 1) {
    table.update(hash, [&](State state) { return State{state.low + amount, 0}; }, worth);
  }
  void remove(std::uint64_t hash) {
    table.update(hash, [](State) { return State{}; }, worth);
  }
  // Adds 1, and lets others do something each time before it knows what to write.
  int add_while(std::uint64_t hash, std::function<void(int call)> others) {
    int calls = 0;
    const auto change = [&](State state) {
      others(++calls);
      return State{state.low + 1, 0};
    };
    table.update(hash, change, worth);
    return calls;
  }
  [[nodiscard]] std::size_t keys() const {
    return table.count_keys([](State) { return true; });
  }

  SlotTable table{1};
  const std::uint64_t k = key(1);
  const std::uint64_t other = key(2);
};

TEST_F(SlotTableTest, key_that_another_thread_brings_in_meanwhile_is_counted_in_one_slot) {
  add(other);
  add_while(k, [&](int call) {
    if (call != 1) return;
    add(k, 10);     // into the second slot
    remove(other);  // and now the first is free
  });
  EXPECT_EQ(table.state(k).low, 11U);
  EXPECT_EQ(keys(), 1U);
  remove(k);
  EXPECT_EQ(table.state(k), State{});
}

TEST_F(SlotTableTest, claim_that_was_not_needed_leaves_its_slot_free) {
  add(other);
  add_while(k, [&](int call) {
    if (call != 1) return;
    add(k, 10);
    remove(other);
  });
  for (std::uint64_t i = 2; i < 9; ++i) add(key(i));
  EXPECT_EQ(keys(), 8U);
  EXPECT_EQ(table.evicted(), 0U);
}

TEST_F(SlotTableTest, claim_of_a_thread_that_stopped_is_made_a_state_by_others) {
  const int calls = add_while(k, [&](int call) {
    if (call == 2) add(k, 10);  // the claim is in place
  });
  EXPECT_EQ(calls, 3) << "again, with what the other has counted";
  EXPECT_EQ(table.state(k).low, 11U);
  EXPECT_EQ(keys(), 1U);
}

TEST_F(SlotTableTest, claim_whose_slot_was_taken_is_placed_again) {
  add_while(k, [&](int call) {
    if (call != 2) return;
    const auto keep = [](State) { return not_to_be_lost; };
    for (std::uint64_t i = 2; i < 10; ++i) table.update(key(i), [](State) { return State{5, 0}; }, keep);  // all slots, the claim's last
    EXPECT_EQ(keys(), 8U);
  });
  EXPECT_EQ(table.state(k).low, 1U);
  EXPECT_EQ(keys(), 8U);
  EXPECT_EQ(table.evicted(), 1U);
}

TEST_F(SlotTableTest, state_that_changed_meanwhile_is_read_again) {
  add(k, 5);
  const int calls = add_while(k, [&](int call) {
    if (call == 1) add(k, 10);
  });
  EXPECT_EQ(calls, 2);
  EXPECT_EQ(table.state(k).low, 16U);
}

TEST_F(SlotTableTest, answer_without_a_change_rests_on_what_is_there) {
  add(k, 5);
  State last;
  table.update(
      k,
      [&](State state) {
        if (state.low == 5) add(k, 10);
        return last = state;
      },
      worth);
  EXPECT_EQ(last.low, 15U);
  EXPECT_EQ(table.state(k).low, 15U);
}

TEST_F(SlotTableTest, least_loss_gives_way) {
  for (std::uint64_t i = 1; i < 9; ++i) add(key(i), 10 + i);
  add(key(3), 100);
  add(key(20));
  EXPECT_EQ(table.state(key(1)), State{});
  EXPECT_EQ(table.evicted(), 1U);
  for (std::uint64_t i = 2; i < 9; ++i) EXPECT_NE(table.state(key(i)), State{});
  EXPECT_EQ(table.state(key(20)).low, 1U);
}

TEST_F(SlotTableTest, no_room_where_nothing_may_be_lost) {
  const auto keep = [](State) { return not_to_be_lost; };
  for (std::uint64_t i = 1; i < 9; ++i) add(key(i));
  EXPECT_EQ(table.update(key(20), [](State) { return State{1, 0}; }, keep), Update::no_room);
  EXPECT_EQ(table.update(key(20), [](State) { return State{}; }, keep), Update::done);
  EXPECT_EQ(keys(), 8U);
}

TEST_F(SlotTableTest, key_whose_hash_has_no_bits_for_a_tag_is_a_key) {
  add(0, 3);
  EXPECT_EQ(table.state(0).low, 3U);
  EXPECT_EQ(table.state(std::uint64_t{5} << 32U).low, 3U) << "in one set only the tag tells keys apart";
  EXPECT_EQ(table.state(2), State{});
}

TEST(SlotTableSizeTest, has_room_for_every_number_of_keys) {
  for (const std::size_t keys : {0U, 1U, 4U, 5U, 1'000'000U}) {
    SlotTable table(keys);
    EXPECT_GE(table.bytes(), std::max<std::size_t>(keys * 32, 128));
    EXPECT_LT(table.bytes(), keys * 32 + 256);
    table.update(~std::uint64_t{0}, [](State) { return State{1, 2}; }, worth);
    EXPECT_EQ(table.state(~std::uint64_t{0}), (State{1, 2}));
  }
}

}  // namespace slot_table_test
}  // namespace steelyard::quota
