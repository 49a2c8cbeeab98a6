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
  EXPECT_EQ(used.use(id_of(1), 130, 100), Use::first);
  EXPECT_EQ(used.use(id_of(2), 130, 100), Use::first);
  EXPECT_EQ(used.use(id_of(1), 130, 129), Use::again);
  EXPECT_EQ(used.size(), 2U);
}

TEST(UsedTokens, they_are_forgotten_when_nobody_would_accept_them) {
  UsedTokens used;
  for (unsigned i = 0; i < 1000; ++i) ASSERT_EQ(used.use(id_of(i), 130, 100), Use::first);
  for (unsigned i = 1000; i < 2000; ++i) ASSERT_EQ(used.use(id_of(i), 160, 130), Use::first);
  EXPECT_EQ(used.size(), 1000U);
}

TEST(UsedTokens, beyond_the_limit_nothing_is_taken_for_unused) {
  UsedTokens used(2);
  EXPECT_EQ(used.use(id_of(1), 130, 100), Use::first);
  EXPECT_EQ(used.use(id_of(2), 130, 100), Use::first);
  EXPECT_EQ(used.use(id_of(3), 130, 100), Use::full);
  EXPECT_EQ(used.use(id_of(1), 130, 100), Use::again);
  EXPECT_EQ(used.use(id_of(1), 160, 130), Use::first) << "those that have expired make room";
}

TEST(UsedTokens, another_process_goes_on_with_them) {
  UsedTokens before;
  for (unsigned i = 0; i < 100; ++i) before.use(id_of(i), i < 50 ? 110 : 130, 100);
  UsedTokens after;
  EXPECT_EQ(after.use(id_of(99), 130, 105), Use::first);
  const UsedTokens::Ids ids = before.ids();
  EXPECT_EQ(ids.size(), 2U);
  after.add(ids, 110);
  after.add(ids, 110);
  EXPECT_EQ(after.size(), 50U) << "what has expired is nobody's any more, and what was known counts once";
  EXPECT_EQ(after.use(id_of(1), 140, 111), Use::first);
  EXPECT_EQ(after.use(id_of(50), 130, 111), Use::again);
  EXPECT_EQ(after.use(id_of(99), 130, 111), Use::again);
}

TEST(UsedTokens, of_several_threads_one_is_the_first) {
  UsedTokens used;
  std::atomic<int> first{0};
  const auto race = [&] {
    for (unsigned i = 0; i < 5000; ++i) first += used.use(id_of(i), 130, 100) == Use::first ? 1 : 0;
  };
  std::thread one(race);
  std::thread other(race);
  one.join();
  other.join();
  EXPECT_EQ(first.load(), 5000);
}

}  // namespace used_tokens_test
}  // namespace steelyard
