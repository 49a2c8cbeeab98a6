// The pool's size classes, and that a freed block is the next one of its class. Under a sanitizer blocks are not pooled, so what
// depends on reuse is checked only without.
#include "runtime/block_pool.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <set>
#include <thread>
#include <vector>

namespace steelyard {
namespace block_pool_test {

#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer)
constexpr bool pooled = false;
#else
constexpr bool pooled = true;
#endif

TEST(BlockPool, capacity_is_the_size_class_and_asking_for_it_gives_the_same_class) {
  EXPECT_EQ(block_capacity(0), 32U);
  EXPECT_EQ(block_capacity(1), 32U);
  EXPECT_EQ(block_capacity(32), 32U);
  EXPECT_EQ(block_capacity(33), 64U);
  EXPECT_EQ(block_capacity(1024), 1024U);
  EXPECT_EQ(block_capacity(1025), 2048U);
  EXPECT_EQ(block_capacity(64 * 1024 - 1), 64U * 1024);
  EXPECT_EQ(block_capacity(64 * 1024), 64U * 1024);
  EXPECT_EQ(block_capacity(64 * 1024 + 1), 64U * 1024 + 1);
  for (std::size_t bytes = 1; bytes < 70'000; bytes += 7) {
    ASSERT_GE(block_capacity(bytes), bytes);
    ASSERT_EQ(block_capacity(block_capacity(bytes)), block_capacity(bytes));
  }
}

TEST(BlockPool, blocks_of_every_size_are_whole_aligned_and_apart) {
  struct Taken {
    unsigned char* block;
    std::size_t bytes;
    unsigned char mark;
  };
  std::vector<Taken> taken;
  for (int round = 0; round < 3; ++round) {
    unsigned char mark = 1;
    for (std::size_t bytes = 1; bytes <= 200'000; bytes += 1 + bytes / 9) {
      auto* block = static_cast<unsigned char*>(take_block(bytes));
      ASSERT_EQ(reinterpret_cast<std::uintptr_t>(block) % __STDCPP_DEFAULT_NEW_ALIGNMENT__, 0U);
      std::memset(block, ++mark, bytes);
      taken.push_back({block, bytes, mark});
    }
    for (const Taken& each : taken) {
      for (std::size_t i = 0; i < each.bytes; ++i) ASSERT_EQ(each.block[i], each.mark);
      give_block(each.block, each.bytes);
    }
    taken.clear();
  }
}

TEST(BlockPool, a_freed_block_is_the_next_of_its_class) {
  if (!pooled) GTEST_SKIP() << "blocks are plain allocations under a sanitizer";
  for (const std::size_t bytes : {1, 32, 33, 500, 1024, 1025, 5000, 20'000, 65'536}) {
    void* first = take_block(bytes);
    give_block(first, bytes);
    void* second = take_block(block_capacity(bytes));
    EXPECT_EQ(first, second) << bytes;
    give_block(second, bytes);
  }
}

TEST(BlockPool, the_steady_state_takes_nothing_more_from_the_system) {
  if (!pooled) GTEST_SKIP() << "blocks are plain allocations under a sanitizer";
  const auto churn = [] {
    std::vector<std::pair<void*, std::size_t>> taken;
    for (std::size_t bytes = 1; bytes <= 65'536; bytes = bytes * 2 + 1) taken.emplace_back(take_block(bytes), bytes);
    for (const auto& [block, bytes] : taken) give_block(block, bytes);
  };
  churn();
  const std::size_t before = block_pool_bytes();
  EXPECT_GT(before, 0U);
  for (int i = 0; i < 100; ++i) churn();
  EXPECT_EQ(block_pool_bytes(), before);
}

TEST(BlockPool, each_thread_has_its_own) {
  std::size_t elsewhere = 1;
  std::thread([&] {
    elsewhere = block_pool_bytes();
    void* block = take_block(100);
    give_block(block, 100);
  }).join();
  EXPECT_EQ(elsewhere, 0U);
}

TEST(BlockPool, a_class_lives_in_it_by_derivation) {
  struct Pooled : PoolAllocated {
    std::array<char, 100> bytes{};
  };
  auto* first = new Pooled;
  delete first;
  auto* second = new Pooled;
  if (pooled) EXPECT_EQ(first, second);
  delete second;
}

}  // namespace block_pool_test
}  // namespace steelyard
