#include "decide/route/flat_table.hpp"

#include <gtest/gtest.h>

#include <map>
#include <utility>

#include "base/prng.hpp"

namespace steelyard::route {
namespace flat_table_test {

TEST(FlatTable, empty_one_finds_nothing) {
  const FlatTable table;
  EXPECT_TRUE(table.empty());
  for (const std::uint64_t hash : {std::uint64_t{0}, std::uint64_t{1} << 63U, UINT64_MAX}) {
    EXPECT_EQ(table.find(hash, 0), FlatTable::absent);
    EXPECT_EQ(table.find(hash, UINT32_MAX), FlatTable::absent);
  }
}

TEST(FlatTable, hash_and_scope_must_both_agree) {
  FlatTable table(2);
  table.insert(7, 1, 10);
  table.insert(7, 2, 20);
  EXPECT_FALSE(table.empty());
  EXPECT_EQ(table.find(7, 1), 10U);
  EXPECT_EQ(table.find(7, 2), 20U);
  EXPECT_EQ(table.find(7, 3), FlatTable::absent);
  EXPECT_EQ(table.find(8, 1), FlatTable::absent);
  EXPECT_EQ(table.find(7 | std::uint64_t{1} << 63U, 1), FlatTable::absent);
}

TEST(FlatTable, key_of_zeros_is_a_key) {
  FlatTable table(1);
  EXPECT_EQ(table.find(0, 0), FlatTable::absent);
  table.insert(0, 0, 0);
  EXPECT_EQ(table.find(0, 0), 0U);
}

// All of one slot, the last one, so that the search goes on at the front.
TEST(FlatTable, entries_of_one_slot_are_all_found) {
  constexpr std::uint64_t last_slot = 0xffffffffffff0000U;
  FlatTable table(500);
  for (std::uint32_t i = 0; i < 500; ++i) table.insert(last_slot + i, 0, i);
  for (std::uint32_t i = 0; i < 500; ++i) ASSERT_EQ(table.find(last_slot + i, 0), i);
  EXPECT_EQ(table.find(last_slot + 500, 0), FlatTable::absent);
  EXPECT_EQ(table.find(last_slot, 1), FlatTable::absent);
  EXPECT_EQ(table.find(0, 0), FlatTable::absent);
}

TEST(FlatTable, agrees_with_a_map) {
  Prng prng(3);
  for (const std::size_t size : {1U, 2U, 3U, 255U, 256U, 257U, 5000U}) {
    FlatTable table(size);
    std::map<std::pair<std::uint64_t, std::uint32_t>, std::uint32_t> map;
    // Few hashes and many scopes, then the other way round.
    const std::uint64_t hashes = size % 2 == 0 ? 5 : UINT64_MAX;
    while (map.size() < size) {
      const std::pair key(prng.below(hashes), static_cast<std::uint32_t>(prng.below(100'000)));
      const auto value = static_cast<std::uint32_t>(prng.below(FlatTable::absent));
      if (map.try_emplace(key, value).second) table.insert(key.first, key.second, value);
    }
    for (const auto& [key, value] : map) {
      ASSERT_EQ(table.find(key.first, key.second), value);
      const std::pair other(key.first, key.second + 1);
      if (!map.contains(other)) ASSERT_EQ(table.find(other.first, other.second), FlatTable::absent);
    }
  }
}

TEST(FlatTableDeathTest, refuses_more_entries_than_it_was_made_for) {
  FlatTable table(2);
  table.insert(1, 0, 0);
  table.insert(2, 0, 0);
  EXPECT_DEATH(table.insert(3, 0, 0), "broken invariant");
}

}  // namespace flat_table_test
}  // namespace steelyard::route
