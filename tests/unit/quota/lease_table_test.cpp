#include "quota/lease_table.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace steelyard::quota {
namespace lease_table_test {

class LeaseTableTest : public ::testing::Test {
 protected:
  LeaseTable table{100, 1};
  const std::uint64_t key = table.hash("key");
  const Instant now{5'000'000'000};
};

TEST_F(LeaseTableTest, knows_nothing_of_a_new_key) {
  EXPECT_FALSE(table.take(key, now));
  EXPECT_EQ(table.count_keys(now), 0U) << "asking leaves nothing behind";
}

TEST_F(LeaseTableTest, hands_out_what_was_granted_and_then_asks) {
  table.grant(key, now, 3, now + 500ms);
  const auto first = table.take(key, now);
  ASSERT_TRUE(first);
  EXPECT_TRUE(first->allowed);
  EXPECT_EQ(first->remaining, 2U);
  EXPECT_EQ(first->reset, 500ms);
  EXPECT_FALSE(table.take(key, now, 3)) << "more than there is";
  EXPECT_TRUE(table.take(key, now, 2));
  EXPECT_FALSE(table.take(key, now));
  EXPECT_FALSE(table.take(table.hash("another"), now));
}

TEST_F(LeaseTableTest, lease_ends_with_its_window_or_after_a_second) {
  table.grant(key, now, 3, now + 200ms);
  EXPECT_TRUE(table.take(key, now + (200ms - 1ns)));
  EXPECT_FALSE(table.take(key, now + 200ms));
  const std::uint64_t long_one = table.hash("long");
  table.grant(long_one, now, 3, now + 24h);
  EXPECT_TRUE(table.take(long_one, now + (1s - 1ns)));
  EXPECT_FALSE(table.take(long_one, now + 1s));
  const std::uint64_t late = table.hash("late");
  table.grant(late, now, 3, now);
  EXPECT_FALSE(table.take(late, now)) << "over before it began";
}

TEST_F(LeaseTableTest, second_lease_adds_to_what_is_left_and_ends_with_the_first) {
  table.grant(key, now, 3, now + 100ms);
  table.grant(key, now, 4, now + 300ms);
  EXPECT_EQ(table.take(key, now)->remaining, 6U);
  EXPECT_FALSE(table.take(key, now + 100ms));
  const std::uint64_t used_up = table.hash("used up");
  table.grant(used_up, now, 1, now + 100ms);
  EXPECT_TRUE(table.take(used_up, now));
  table.grant(used_up, now, 4, now + 300ms);
  EXPECT_TRUE(table.take(used_up, now + 200ms)) << "of one that is used up nothing is left to end early";
}

TEST_F(LeaseTableTest, remembers_a_refusal_for_a_second_at_most) {
  table.refuse(key, now, 300ms);
  const auto refused = table.take(key, now + 100ms);
  ASSERT_TRUE(refused);
  EXPECT_FALSE(refused->allowed);
  EXPECT_EQ(refused->retry_after, 200ms);
  EXPECT_FALSE(table.take(key, now + 300ms));

  table.refuse(key, now, 42s);
  EXPECT_EQ(table.take(key, now + 400ms)->retry_after, 41'600ms) << "what is told is the truth, not how long it is remembered";
  EXPECT_FALSE(table.take(key, now + 1s));
  table.refuse(key, now, 30 * 24h);
  EXPECT_GT(table.take(key, now)->retry_after, 24 * 24h);
}

TEST_F(LeaseTableTest, a_refusal_leaves_the_tokens_that_were_taken_ahead) {
  table.grant(key, now, 2, now + 500ms);
  table.refuse(key, now, 500ms);
  EXPECT_TRUE(table.take(key, now)->allowed);
  EXPECT_TRUE(table.take(key, now)->allowed);
  EXPECT_FALSE(table.take(key, now)) << "the refusal was not of now: it is asked for again";
  table.refuse(key, now, 500ms);
  EXPECT_FALSE(table.take(key, now)->allowed);
  table.grant(key, now, 1, now + 500ms);
  EXPECT_TRUE(table.take(key, now)->allowed) << "a lease ends a refusal";
}

TEST_F(LeaseTableTest, gives_back_into_the_same_lease_only) {
  table.grant(key, now, 1, now + 500ms);
  const auto taken = table.take(key, now + 1ms);
  table.give_back(key, now + 1ms, *taken);
  ASSERT_TRUE(table.take(key, now + 2ms));
  table.grant(key, now + 600ms, 1, now + 900ms);
  table.give_back(key, now + 1ms, *taken);
  EXPECT_TRUE(table.take(key, now + 600ms));
  EXPECT_FALSE(table.take(key, now + 600ms)) << "a token of an old lease is none of the new";
  table.refuse(key, now + 600ms, 100ms);
  table.give_back(key, now + 1ms, *taken);
  EXPECT_FALSE(table.take(key, now + 600ms)->allowed);
}

TEST_F(LeaseTableTest, threads_hand_out_every_token_once) {
  constexpr std::uint64_t tokens = 40'000;
  std::atomic<std::uint64_t> handed_out{0};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&] {
      std::uint64_t own = 0;
      for (std::uint64_t i = 0; i < tokens / 4; ++i) table.grant(key, now, 1, now + 1s);
      while (table.take(key, now)) ++own;
      handed_out.fetch_add(own);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(handed_out.load(), tokens);
}

}  // namespace lease_table_test
}  // namespace steelyard::quota
