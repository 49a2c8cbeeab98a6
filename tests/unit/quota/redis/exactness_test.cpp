// Two workers, each with a loop and a connection of its own, on one Redis and one key: never one more than the limit.
#include <gtest/gtest.h>

#include <list>
#include <numeric>
#include <thread>

#include "quota/redis/fixture.hpp"
#include "runtime/child.hpp"
#include "support/redis_server.hpp"

namespace steelyard::quota {
namespace exactness_test {

using limit::Kind;
using limit::Rule;
using testing::patient_options;
using testing::take;
using testing_support::RedisServer;

constexpr int lines = 16;             // that ask at the same time in each worker
constexpr int questions = 40;         // of each line
constexpr std::uint64_t count = 700;  // of 2 × 16 × 40 = 1280 questions

struct RedisExactness : ::testing::TestWithParam<Kind> {
  std::unique_ptr<RedisServer> redis;
  void SetUp() override {
    SKIP_WITHOUT("redis-server");
    redis = std::make_unique<RedisServer>();
  }

  // What one worker was given.
  std::uint64_t hammer(const Rule& rule, std::uint64_t lease) {
    std::uint64_t given = 0;
    testing::World world;
    world.run_with(patient_options(redis->address()), [&](RedisStore& store) -> Task<void> {
      const auto line = [&]() -> Task<void> {
        for (int i = 0; i < questions; ++i) {
          const auto answer = co_await take(store, rule, "client", 1, lease);
          EXPECT_TRUE(answer);
          if (answer && answer->verdict.allowed) given += 1 + answer->granted;
        }
      };
      std::list<Child> children;
      for (int i = 0; i < lines; ++i) children.emplace_back(store.scheduler()).start(line());
      for (Child& child : children) co_await child.join();
    });
    return given;
  }

  std::uint64_t hammer_with_two(const Rule& rule, std::uint64_t lease) {
    std::uint64_t of_other = 0;
    std::thread other([&] { of_other = hammer(rule, lease); });
    const std::uint64_t own = hammer(rule, lease);
    other.join();
    return own + of_other;
  }
};

TEST_P(RedisExactness, two_workers_are_given_exactly_the_limit) {
  const Rule rule{.kind = GetParam(), .count = count, .period = 24h * 365, .burst = count};
  EXPECT_EQ(hammer_with_two(rule, 0), count);
}

TEST_P(RedisExactness, with_leases_they_are_given_exactly_the_limit_together_with_what_is_leased) {
  const Rule rule{.kind = GetParam(), .count = count, .period = 24h * 365, .burst = count};
  EXPECT_EQ(hammer_with_two(rule, 10), count);
}

INSTANTIATE_TEST_SUITE_P(Kinds, RedisExactness, ::testing::Values(Kind::fixed_window, Kind::sliding_window, Kind::token_bucket));

}  // namespace exactness_test
}  // namespace steelyard::quota
