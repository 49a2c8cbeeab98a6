// Threads that count the same keys in one table: never one more than the limit, and nothing lost. What a race would break is the
// moment when a key comes into the table, so that happens as often as possible here: all threads meet at a barrier before each round,
// and every round has new keys.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <thread>
#include <vector>

#include "base/prng.hpp"
#include "quota/local_table.hpp"

namespace steelyard::quota {
namespace local_table_threads_test {

using limit::Kind;
using limit::Rule;

constexpr Instant start{1'000'000'000};

template <typename Work>
void on_threads(int count, Work work) {
  std::vector<std::thread> threads;
  for (int thread = 0; thread < count; ++thread) threads.emplace_back([&, thread] { work(thread); });
  for (std::thread& thread : threads) thread.join();
}

TEST(LocalTableThreadsTest, few_keys_under_many_requests_get_their_limit_exactly) {
  const Rule rules[] = {{.kind = Kind::fixed_window, .count = 5'000, .period = 60s},
                        {.kind = Kind::sliding_window, .count = 5'000, .period = 60s},
                        {.kind = Kind::token_bucket, .count = 1, .period = 60s, .burst = 5'000},
                        {.kind = Kind::concurrent, .count = 5'000}};
  for (const Rule& rule : rules) {
    LocalTable table(100, 1);
    constexpr std::size_t keys = 3;
    std::atomic<std::uint64_t> allowed[keys]{};
    on_threads(4, [&](int) {
      for (int i = 0; i < 6'000; ++i) {
        for (std::size_t key = 0; key < keys; ++key) {
          if (table.take(rule, table.hash(std::string(1, static_cast<char>('a' + key))), start).allowed) allowed[key].fetch_add(1);
        }
      }
    });
    for (const auto& count : allowed) EXPECT_EQ(count.load(), 5'000U) << limit::name(rule.kind);
    EXPECT_EQ(table.count_keys(rule, start), keys);
  }
}

// One round: all threads take every key of the round; each is to be allowed `count` times in all, out of one slot.
struct Rounds {
  static constexpr int threads = 4;

  const Rule rule{.kind = Kind::fixed_window, .count = 3, .period = 1ms};
  const std::size_t keys;
  LocalTable& table;
  std::vector<std::atomic<std::uint64_t>> allowed = std::vector<std::atomic<std::uint64_t>>(keys);
  std::barrier<> meet{threads};
  int too_many = 0;
  int too_few = 0;
  int other_numbers_of_keys = 0;

  void expect_exact() const {
    EXPECT_EQ(too_many, 0);
    EXPECT_EQ(too_few, 0);
    EXPECT_EQ(other_numbers_of_keys, 0);
  }

  // Threads come upon the keys in the same order, or each in its own.
  void run(int thread, int count, bool same_order) {
    for (int round = 0; round < count; ++round) {
      const Instant now = start + round * 1ms;
      Prng chance(static_cast<std::uint64_t>(round));
      const std::uint64_t salt = chance.next();
      const std::size_t first = same_order ? 0 : static_cast<std::size_t>(thread) * keys / threads;
      meet.arrive_and_wait();
      for (int turn = 0; turn < 2; ++turn) {
        for (std::size_t i = 0; i < keys; ++i) {
          const std::size_t key = (first + i) % keys;
          if (table.take(rule, Prng(salt + key).next(), now).allowed) allowed[key].fetch_add(1);
        }
      }
      meet.arrive_and_wait();
      if (thread != 0) continue;
      // Nothing is asserted before the end: a thread that went away would leave the others at the barrier.
      for (std::size_t key = 0; key < keys; ++key) {
        const std::uint64_t count_of_key = allowed[key].exchange(0);
        if (count_of_key > 3) ++too_many;
        if (count_of_key < 3) ++too_few;
      }
      if (table.count_keys(rule, now) != keys) ++other_numbers_of_keys;
    }
  }
};

TEST(LocalTableThreadsTest, thousand_new_keys_at_once_get_their_limit_exactly) {
  for (const bool same_order : {true, false}) {
    LocalTable table(4'000, 1);
    Rounds rounds{.keys = 1'000, .table = table};
    on_threads(Rounds::threads, [&](int thread) { rounds.run(thread, 40, same_order); });
    rounds.expect_exact();
    EXPECT_EQ(table.evicted(), 0U);
  }
}

// Every slot that a key comes into had another key before, and the sets are nearly full: claims of different keys meet as well.
TEST(LocalTableThreadsTest, keys_that_take_the_slots_of_lapsed_ones_get_their_limit_exactly) {
  LocalTable table(4, 1);
  Rounds rounds{.keys = 4, .table = table};
  on_threads(Rounds::threads, [&](int thread) { rounds.run(thread, 5'000, true); });
  rounds.expect_exact();
  EXPECT_EQ(table.evicted(), 0U);
}

// Keys come and go all the time, so that a free slot is now before and now behind the one that another thread has just found.
TEST(LocalTableThreadsTest, never_more_at_once_than_allowed_and_none_left_in_the_end) {
  const Rule rule{.kind = Kind::concurrent, .count = 1};
  constexpr std::size_t keys = 6;
  LocalTable table(1, 1);
  std::atomic<int> under_way[keys]{};
  std::atomic<int> too_many{0};
  on_threads(4, [&](int thread) {
    Prng chance(static_cast<std::uint64_t>(thread));
    for (int i = 0; i < 300'000; ++i) {
      const std::size_t key = chance.below(keys);
      const std::uint64_t hash = Prng(key).next();
      if (!table.take(rule, hash, start).allowed) continue;
      if (under_way[key].fetch_add(1) != 0) too_many.fetch_add(1);
      if (i % 1024 == 0) std::this_thread::yield();
      under_way[key].fetch_sub(1);
      table.give_back(rule, hash, start);
    }
  });
  EXPECT_EQ(too_many.load(), 0);
  EXPECT_EQ(table.uncounted(), 0U);
  EXPECT_EQ(table.count_keys(rule, start), 0U);
  for (std::size_t key = 0; key < keys; ++key) EXPECT_EQ(table.look(rule, Prng(key).next(), start).remaining, 1U);
}

}  // namespace local_table_threads_test
}  // namespace steelyard::quota
