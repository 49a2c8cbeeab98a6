#include "quota/top_keys.hpp"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "base/hash.hpp"

namespace steelyard::quota {
namespace top_keys_test {

class TopKeysTest : public ::testing::Test {
 protected:
  void add(const std::string& key, int times = 1) {
    for (int i = 0; i < times; ++i) top.add(key, hash(key));
  }

  const KeyedHash hash{7};
  TopKeys top;
};

TEST_F(TopKeysTest, counts_exactly_while_there_is_room) {
  add("a", 3);
  add("b", 5);
  add("c");
  const auto keys = top.top(2);
  ASSERT_EQ(keys.size(), 2U);
  EXPECT_EQ(keys[0].key, "b");
  EXPECT_EQ(keys[0].count, 5U);
  EXPECT_EQ(keys[0].error, 0U);
  EXPECT_EQ(keys[1].key, "a");
  EXPECT_EQ(keys[1].count, 3U);
}

TEST_F(TopKeysTest, flood_of_keys_does_not_hide_a_frequent_one) {
  constexpr int others = 10'000;
  int frequent = 0;
  for (int i = 0; i < others; ++i) {
    add("other " + std::to_string(i));
    if (i % 10 == 0) add("frequent"), ++frequent;
  }
  const auto keys = top.top();
  ASSERT_EQ(keys.size(), TopKeys::entries_max);
  EXPECT_EQ(keys[0].key, "frequent");
  EXPECT_GE(keys[0].count, static_cast<std::uint64_t>(frequent));
  EXPECT_LE(keys[0].count - keys[0].error, static_cast<std::uint64_t>(frequent));
  std::uint64_t sum = 0;
  for (const TopKey& key : keys) sum += key.count;
  EXPECT_EQ(sum, static_cast<std::uint64_t>(others + frequent)) << "the counts of a full sketch are all that came";
}

TEST_F(TopKeysTest, long_keys_are_cut_and_stay_apart) {
  const std::string beginning(TopKeys::key_bytes_max, 'x');
  add(beginning, 3);
  add(beginning + "1", 2);
  add(beginning + "2");
  const auto keys = top.top();
  ASSERT_EQ(keys.size(), 3U);
  for (const TopKey& key : keys) EXPECT_EQ(key.key, beginning);
  EXPECT_FALSE(keys[0].cut);
  EXPECT_TRUE(keys[1].cut);
  EXPECT_EQ(keys[1].count, 2U);
}

TEST_F(TopKeysTest, keys_may_have_any_bytes) {
  const std::string key("a\0\r\n\xff", 5);
  add(key);
  add("");
  EXPECT_EQ(top.top().size(), 2U);
  EXPECT_TRUE(top.top()[0].key == key || top.top()[1].key == key);
}

TEST_F(TopKeysTest, begins_anew_after_clear) {
  add("a", 3);
  top.clear();
  EXPECT_TRUE(top.top().empty());
  add("b");
  add("a");
  ASSERT_EQ(top.top().size(), 2U);
  EXPECT_EQ(top.top()[0].count, 1U);
}

TEST_F(TopKeysTest, threads_lose_nothing_but_what_is_counted_as_dropped) {
  constexpr int times = 20'000;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] { add("key " + std::to_string(thread % 2), times); });
  }
  for (int i = 0; i < 100; ++i) EXPECT_LE(top.top().size(), 2U);
  for (std::thread& thread : threads) thread.join();
  std::uint64_t sum = top.dropped();
  for (const TopKey& key : top.top()) sum += key.count;
  EXPECT_EQ(sum, 4U * times);
}

}  // namespace top_keys_test
}  // namespace steelyard::quota
