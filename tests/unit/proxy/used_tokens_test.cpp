// Tokens that are good for one request each.
#include "proxy/used_tokens.hpp"

#include <gtest/gtest.h>

#include <thread>

namespace steelyard {
namespace used_tokens_test {

using Use = UsedTokens::Use;

token::Id id_of(unsigned number) {
  token::Id id{};
  for (std::size_t i = 0; i < sizeof number; ++i) id[i] = id[15 - i] = static_cast<std::uint8_t>(number >> (8 * i));
  return id;
}

TEST(UsedTokens, each_is_used_once) {
  UsedTokens used;
  EXPECT_EQ(used.use(id_of(1), 125, 5, 100), Use::first);
  EXPECT_EQ(used.use(id_of(2), 125, 5, 100), Use::first);
  EXPECT_EQ(used.use(id_of(1), 125, 5, 129), Use::again);
  EXPECT_EQ(used.size(), 2U);
}

TEST(UsedTokens, they_are_forgotten_when_nobody_would_accept_them) {
  UsedTokens used;
  for (unsigned i = 0; i < 1000; ++i) ASSERT_EQ(used.use(id_of(i), 125, 5, 100), Use::first);
  for (unsigned i = 1000; i < 2000; ++i) ASSERT_EQ(used.use(id_of(i), 160, 5, 130), Use::first);
  EXPECT_EQ(used.size(), 2000U) << "another thread's clock may be a moment behind";
  for (unsigned i = 2000; i < 3000; ++i) ASSERT_EQ(used.use(id_of(i), 160, 5, 131), Use::first);
  EXPECT_EQ(used.size(), 2000U);
}

TEST(UsedTokens, beyond_the_limit_nothing_is_taken_for_unused) {
  UsedTokens used(2);
  EXPECT_EQ(used.use(id_of(1), 130, 0, 100), Use::first);
  EXPECT_EQ(used.use(id_of(2), 130, 0, 100), Use::first);
  EXPECT_EQ(used.use(id_of(3), 130, 0, 100), Use::full);
  EXPECT_EQ(used.use(id_of(1), 130, 0, 100), Use::again);
  EXPECT_EQ(used.use(id_of(1), 160, 0, 131), Use::first) << "those that have expired make room";
}

TEST(UsedTokens, what_may_have_been_forgotten_is_not_good_again_where_clocks_may_differ_more) {
  UsedTokens used;
  EXPECT_EQ(used.use(id_of(1), 130, 0, 100), Use::first);
  EXPECT_EQ(used.use(id_of(17), 200, 0, 140), Use::first);
  EXPECT_EQ(used.use(id_of(1), 130, 60, 140), Use::again);
  EXPECT_EQ(used.use(id_of(1 + 32), 131, 60, 140), Use::first) << "nothing that expires so late has been forgotten";
  EXPECT_EQ(used.use(id_of(1 + 32), 131, 0, 180), Use::again) << "a guard elsewhere still accepts it";
}

TEST(UsedTokens, another_process_goes_on_with_them) {
  UsedTokens before;
  for (unsigned i = 0; i < 100; ++i) before.use(id_of(i), i < 50 ? 110 : 130, 0, 100);
  UsedTokens after;
  EXPECT_EQ(after.use(id_of(99), 130, 0, 105), Use::first);
  const UsedTokens::Memory memory = before.memory();
  EXPECT_EQ(memory.ids.size(), 2U);
  after.add(memory);
  after.add(memory);
  EXPECT_EQ(after.size(), 100U) << "what was known counts once";
  EXPECT_EQ(after.use(id_of(50), 130, 0, 112), Use::again);
  EXPECT_EQ(after.use(id_of(99), 130, 0, 112), Use::again);

  before.use(id_of(50), 130, 0, 120);  // those of its part that have expired are forgotten
  EXPECT_EQ(before.memory().forgotten_s, 110);
  UsedTokens third;
  third.add(before.memory());
  EXPECT_EQ(third.use(id_of(200), 110, 60, 120), Use::again);
  EXPECT_EQ(third.use(id_of(200), 111, 60, 120), Use::first);
}

TEST(UsedTokens, of_several_threads_one_is_the_first) {
  UsedTokens used;
  std::atomic<int> first{0};
  const auto race = [&] {
    for (unsigned i = 0; i < 5000; ++i) first += used.use(id_of(i), 130, 0, 100) == Use::first ? 1 : 0;
  };
  std::thread one(race);
  std::thread other(race);
  one.join();
  other.join();
  EXPECT_EQ(first.load(), 5000);
}

}  // namespace used_tokens_test
}  // namespace steelyard
