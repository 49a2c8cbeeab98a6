#include "quota/local_table.hpp"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "base/prng.hpp"
#include "decide/limit/counting.hpp"

namespace steelyard::quota {
namespace local_table_test {

using limit::Kind;
using limit::Rule;

constexpr Rule five_a_minute{.kind = Kind::fixed_window, .count = 5, .period = 60s};
constexpr Instant start{1'000'000'000};

TEST(LocalTableTest, five_of_six_for_each_key) {
  LocalTable table(100, 1);
  for (const char* client : {"192.0.2.1", "192.0.2.2", ""}) {
    const std::uint64_t key = table.hash(client);
    EXPECT_EQ(table.look(five_a_minute, key, start).remaining, 5U);
    for (int i = 0; i < 6; ++i) {
      const limit::Verdict verdict = table.take(five_a_minute, key, start + i * 1s);
      EXPECT_EQ(verdict.allowed, i < 5);
      EXPECT_TRUE(verdict.counted);
    }
    EXPECT_FALSE(table.look(five_a_minute, key, start + 6s).allowed);
    EXPECT_EQ(table.look(five_a_minute, key, start + 6s).retry_after, 54s);
  }
  EXPECT_EQ(table.count_keys(five_a_minute, start + 1s), 3U);
  EXPECT_EQ(table.count_keys(five_a_minute, start + 60s), 0U);
  EXPECT_TRUE(table.take(five_a_minute, table.hash(""), start + 60s).allowed);
}

TEST(LocalTableTest, every_key_is_counted_as_if_it_were_alone) {
  Prng chance(3);
  const Rule rules[] = {five_a_minute,
                        {.kind = Kind::sliding_window, .count = 20, .period = 60s},
                        {.kind = Kind::token_bucket, .count = 10, .period = 60s, .burst = 4},
                        {.kind = Kind::concurrent, .count = 3},
                        {.kind = Kind::bandwidth, .count = 1000, .period = 1s, .burst = 500}};
  for (const Rule& rule : rules) {
    LocalTable table(1000, 1);
    std::map<std::uint64_t, limit::State> model;
    Instant now = start;
    for (int i = 0; i < 50'000; ++i) {
      now = now + Duration{static_cast<std::int64_t>(chance.below(100'000'000))};
      const std::uint64_t key = table.hash(std::to_string(chance.below(100)));
      const std::uint64_t cost = 1 + chance.below(2);
      const limit::Step step = limit::take(rule, model[key], now, cost);
      const limit::Verdict verdict = table.take(rule, key, now, cost);
      ASSERT_EQ(verdict.allowed, step.verdict.allowed);
      ASSERT_EQ(verdict.remaining, step.verdict.remaining);
      ASSERT_EQ(verdict.retry_after, step.verdict.retry_after);
      ASSERT_EQ(verdict.reset, step.verdict.reset);
      model[key] = step.state;
      if (step.verdict.allowed && chance.chance(0.5)) {
        model[key] = limit::give_back(rule, step.state, now, cost);
        table.give_back(rule, key, now, cost);
      }
      ASSERT_EQ(table.look(rule, key, now).remaining, limit::look(rule, model[key], now).remaining);
    }
    EXPECT_EQ(table.evicted(), 0U);
  }
}

TEST(LocalTableTest, what_is_refused_at_once_or_given_back_leaves_nothing) {
  LocalTable table(100, 1);
  EXPECT_FALSE(table.take(five_a_minute, table.hash("a"), start, 6).allowed);
  table.give_back(five_a_minute, table.hash("b"), start);
  EXPECT_TRUE(table.take(five_a_minute, table.hash("c"), start).allowed);
  table.give_back(five_a_minute, table.hash("c"), start);
  EXPECT_EQ(table.count_keys(five_a_minute, start), 0U);
}

TEST(LocalTableTest, rule_may_change_under_way) {
  LocalTable table(100, 1);
  const std::uint64_t key = table.hash("a");
  for (int i = 0; i < 5; ++i) table.take(five_a_minute, key, start);
  Rule more = five_a_minute;
  more.count = 7;
  EXPECT_EQ(table.take(more, key, start).remaining, 1U);
  EXPECT_FALSE(table.take(five_a_minute, key, start).allowed);
}

TEST(LocalTableTest, nearly_all_of_the_promised_keys_have_room) {
  constexpr std::size_t keys = 100'000;
  for (const std::uint64_t seed : {1U, 2U, 3U}) {
    LocalTable table(keys, seed);
    for (std::size_t i = 0; i < keys; ++i) table.take(five_a_minute, table.hash(std::to_string(i)), start);
    EXPECT_LT(table.evicted(), keys / 100);
    EXPECT_EQ(table.bytes(), keys * 32);
    const std::size_t live = keys - table.evicted();
    EXPECT_NEAR(static_cast<double>(table.count_keys(five_a_minute, start)), static_cast<double>(live), 0.06 * keys);
  }
}

TEST(LocalTableTest, lapsed_keys_make_room_without_being_swept) {
  LocalTable table(600, 1);
  for (int i = 0; i < 10'000; ++i) {
    ASSERT_TRUE(table.take(five_a_minute, table.hash(std::to_string(i)), start + i * 1s).allowed);
  }
  EXPECT_EQ(table.evicted(), 0U) << "60 keys at once, 10,000 in all, in room for 600";
}

// An attacker with an endless supply of keys pushes out nothing but his own.
TEST(LocalTableTest, flood_of_keys_does_not_free_who_is_over_the_limit) {
  const Rule rules[] = {five_a_minute,
                        {.kind = Kind::sliding_window, .count = 5, .period = 60s},
                        {.kind = Kind::token_bucket, .count = 5, .period = 60s, .burst = 5}};
  for (const Rule& rule : rules) {
    LocalTable table(1024, 1);
    const std::size_t bytes = table.bytes();
    std::vector<std::uint64_t> over;
    for (int i = 0; i < 10; ++i) over.push_back(table.hash("over " + std::to_string(i)));
    const std::uint64_t some = table.hash("some");
    for (int i = 0; i < 5; ++i) {
      for (const std::uint64_t key : over) table.take(rule, key, start);
    }
    for (int i = 0; i < 3; ++i) table.take(rule, some, start);
    Prng chance(1);
    constexpr int flood = 200'000;
    for (int i = 0; i < flood; ++i) {
      ASSERT_TRUE(table.take(rule, chance.next(), start + i * 1us).allowed);
      if (i % 100 == 0) {
        for (const std::uint64_t key : over) ASSERT_FALSE(table.take(rule, key, start + i * 1us).allowed) << limit::name(rule.kind);
      }
    }
    EXPECT_EQ(table.look(rule, some, start + flood * 1us).remaining, 2U) << limit::name(rule.kind);
    EXPECT_EQ(table.bytes(), bytes);
    EXPECT_GT(table.evicted(), flood - bytes / 16 - 1);
  }
}

TEST(LocalTableTest, what_is_under_way_never_gives_way) {
  const Rule one_at_once{.kind = Kind::concurrent, .count = 1};
  LocalTable table(1, 1);
  std::vector<std::uint64_t> keys;
  for (int i = 0; i < 10; ++i) keys.push_back(table.hash(std::to_string(i)));
  for (int i = 0; i < 10; ++i) {
    const limit::Verdict verdict = table.take(one_at_once, keys[i], start);
    EXPECT_TRUE(verdict.allowed);
    EXPECT_EQ(verdict.counted, i < 8) << "a set has eight slots";
  }
  EXPECT_EQ(table.uncounted(), 2U);
  EXPECT_EQ(table.evicted(), 0U);
  for (int i = 0; i < 8; ++i) EXPECT_FALSE(table.take(one_at_once, keys[i], start + 24h).allowed);
  table.give_back(one_at_once, keys[3], start);
  EXPECT_TRUE(table.take(one_at_once, keys[8], start).counted);
  EXPECT_FALSE(table.take(one_at_once, keys[8], start).allowed);
}

}  // namespace local_table_test
}  // namespace steelyard::quota
