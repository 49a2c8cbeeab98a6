// A real Redis that goes, stops, refuses and comes back: nobody waits for it for long, and everything works again soon.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "quota/redis/fixture.hpp"
#include "quota/redis/store.hpp"
#include "support/redis_server.hpp"

namespace steelyard::quota {
namespace trouble_test {

using testing::five_a_minute;
using testing::in_words;
using testing::patient_options;
using testing::take;
using testing::until;
using testing_support::RedisServer;

constexpr limit::Rule plenty{.kind = limit::Kind::fixed_window, .count = 1'000'000, .period = 600s};

struct RedisTrouble : ::testing::Test, testing::World {
  std::unique_ptr<RedisServer> redis;

  void SetUp() override {
    SKIP_WITHOUT("redis-server");
    redis = std::make_unique<RedisServer>();
  }
  void ask(std::function<Task<void>(RedisStore&)> work) { run_with(patient_options(redis->address()), std::move(work)); }
};

// Asks until the breaker is open; how these questions ended.
Task<std::vector<std::string>> ask_until_away(RedisStore& store) {
  std::vector<std::string> answers;
  while (answers.empty() || (answers.back() != "away" && answers.size() < 100)) {
    const auto answer = co_await take(store, plenty, "client");
    answers.push_back(in_words(answer));
  }
  co_return answers;
}

Task<bool> allowed_again(RedisStore& store) {
  const bool available = co_await until([&] { return store.available(); });
  if (!available) co_return false;
  const auto answer = co_await take(store, plenty, "client");
  co_return in_words(answer) == "allowed";
}

TEST_F(RedisTrouble, a_script_that_was_forgotten_is_sent_again) {
  ask([&](RedisStore& store) -> Task<void> {
    auto answer = co_await take(store, five_a_minute, "client", 4);
    redis->ask({"SCRIPT", "FLUSH"});
    answer = co_await take(store, five_a_minute, "client");
    EXPECT_EQ(in_words(answer), "allowed");
    EXPECT_EQ(answer->verdict.remaining, 0U);
    answer = co_await take(store, five_a_minute, "client");
    EXPECT_EQ(in_words(answer), "refused");
  });
  EXPECT_EQ(counters.errors.value(), 0U);
  EXPECT_EQ(counters.connects.value(), 1U);
}

TEST_F(RedisTrouble, what_was_flushed_begins_anew) {
  ask([&](RedisStore& store) -> Task<void> {
    auto answer = co_await take(store, five_a_minute, "client", 5);
    redis->ask({"FLUSHALL"});
    answer = co_await take(store, five_a_minute, "client");
    EXPECT_EQ(answer->verdict.remaining, 4U);
  });
}

TEST_F(RedisTrouble, a_redis_that_was_killed_is_not_waited_for_and_one_that_comes_back_is_used) {
  ask([&](RedisStore& store) -> Task<void> {
    auto answer = co_await take(store, plenty, "client");
    EXPECT_EQ(in_words(answer), "allowed");
    redis->kill();
    // Found out without a request.
    const bool open = co_await until([&] { return counters.nodes_open.value() == 1; });
    EXPECT_TRUE(open);
    answer = co_await take(store, plenty, "client");
    EXPECT_EQ(in_words(answer), "away");
    EXPECT_FALSE(store.available());
    EXPECT_EQ(counters.nodes.value(), 0);
    redis->start();
    const bool back = co_await allowed_again(store);
    EXPECT_TRUE(back);
    EXPECT_EQ(counters.nodes_open.value(), 0);
    EXPECT_EQ(counters.nodes.value(), 1);
  });
  EXPECT_EQ(counters.nodes.value(), 0);
}

TEST_F(RedisTrouble, a_redis_that_is_stopped_costs_its_failures_and_then_nothing) {
  RedisOptions options = patient_options(redis->address());
  options.timeout = 100ms;
  options.connect_timeout = 200ms;
  run_with(options, [&](RedisStore& store) -> Task<void> {
    bool back = co_await allowed_again(store);
    EXPECT_TRUE(back);
    redis->send(SIGSTOP);
    const std::uint64_t before = counters.asked.value();
    const auto answers = co_await ask_until_away(store);
    EXPECT_EQ(answers, (std::vector<std::string>{"timed_out", "timed_out", "timed_out", "away"}));
    EXPECT_EQ(counters.asked.value() - before, 3U);
    // Connecting to it works, but it does not answer the probe.
    const std::uint64_t connects = counters.connects.value();
    const auto still = co_await take(store, plenty, "client");
    EXPECT_EQ(in_words(still), "away");
    EXPECT_EQ(counters.connects.value(), connects);
    redis->send(SIGCONT);
    back = co_await allowed_again(store);
    EXPECT_TRUE(back);
  });
  EXPECT_GE(counters.timeouts.value(), 3U);
}

TEST_F(RedisTrouble, one_without_memory_fails_at_once_until_it_has_some) {
  ask([&](RedisStore& store) -> Task<void> {
    bool back = co_await allowed_again(store);
    EXPECT_TRUE(back);
    redis->ask({"CONFIG", "SET", "maxmemory", "1"});
    const auto answers = co_await ask_until_away(store);
    EXPECT_EQ(answers, (std::vector<std::string>{"failed", "failed", "failed", "away"}));
    redis->ask({"CONFIG", "SET", "maxmemory", "0"});
    back = co_await allowed_again(store);
    EXPECT_TRUE(back);
  });
  EXPECT_EQ(counters.errors.value(), 3U);
}

TEST_F(RedisTrouble, a_replica_is_not_used) {
  ask([&](RedisStore& store) -> Task<void> {
    bool back = co_await allowed_again(store);
    EXPECT_TRUE(back);
    // Of a master that is not there, so it keeps its data and takes no writes.
    redis->ask({"REPLICAOF", "127.0.0.1", "1"});
    const auto answers = co_await ask_until_away(store);
    EXPECT_EQ(answers.front(), "failed");
    EXPECT_EQ(answers.back(), "away");
    redis->ask({"REPLICAOF", "NO", "ONE"});
    back = co_await allowed_again(store);
    EXPECT_TRUE(back);
  });
}

TEST_F(RedisTrouble, of_several_addresses_the_one_that_takes_writes_is_used) {
  RedisServer replica;
  replica.ask({"REPLICAOF", "127.0.0.1", "1"});
  RedisOptions options = patient_options(replica.address());
  options.addresses.push_back(redis->address());
  run_with(options, [&](RedisStore& store) -> Task<void> {
    const bool back = co_await allowed_again(store);
    EXPECT_TRUE(back);
  });
  EXPECT_EQ(redis->ask({"EXISTS", "steelyard:test:client"}).integer, 1);
}

TEST_F(RedisTrouble, a_key_of_somebody_elses_kind_is_an_error_of_that_key) {
  ask([&](RedisStore& store) -> Task<void> {
    redis->ask({"LPUSH", "steelyard:test:taken", "x"});
    for (int i = 0; i < 5; ++i) {
      auto answer = co_await take(store, plenty, "taken");
      EXPECT_EQ(in_words(answer), "failed");
      answer = co_await take(store, plenty, "client");
      EXPECT_EQ(in_words(answer), "allowed");
    }
  });
}

TEST_F(RedisTrouble, connections_that_are_killed_are_made_again) {
  ask([&](RedisStore& store) -> Task<void> {
    for (std::uint64_t i = 1; i <= 5; ++i) {
      const bool back = co_await allowed_again(store);
      EXPECT_TRUE(back);
      redis->ask({"CLIENT", "KILL", "TYPE", "normal"});
      const bool again = co_await until([&] { return counters.connects.value() > i; });
      EXPECT_TRUE(again);
    }
  });
}

struct RedisLoginTest : ::testing::Test, testing::World {
  void SetUp() override { SKIP_WITHOUT("redis-server"); }

  std::string first_answer(const RedisServer& redis, RedisLogin login, std::uint32_t database = 0) {
    RedisOptions options = patient_options(redis.address());
    options.login = std::move(login);
    options.database = database;
    std::string words;
    run_with(options, [&](RedisStore& store) -> Task<void> {
      const auto answer = co_await take(store, plenty, "client");
      words = in_words(answer);
    });
    return words;
  }
};

TEST_F(RedisLoginTest, the_password_opens) {
  EXPECT_EQ(first_answer(RedisServer({"--requirepass", "pass word"}), {.password = "pass word"}), "allowed");
}
TEST_F(RedisLoginTest, a_wrong_password_does_not) {
  EXPECT_EQ(first_answer(RedisServer({"--requirepass", "right"}), {.password = "wrong"}), "failed");
}
TEST_F(RedisLoginTest, none_does_not_where_one_is_wanted) {
  EXPECT_EQ(first_answer(RedisServer({"--requirepass", "right"}), {}), "failed");
}
TEST_F(RedisLoginTest, a_user_with_few_rights_is_enough) {
  const RedisServer redis;
  redis.ask({"ACL", "SETUSER", "proxy", "on", ">secret", "~steelyard:*", "+eval", "+evalsha", "+time", "+get", "+set"});
  EXPECT_EQ(first_answer(redis, {"proxy", "secret"}), "allowed");
}
TEST_F(RedisLoginTest, another_database_is_selected) {
  const RedisServer redis;
  EXPECT_EQ(first_answer(redis, {}, 7), "allowed");
  EXPECT_EQ(redis.ask({"EXISTS", "steelyard:test:client"}).integer, 0);
  EXPECT_TRUE(redis.ask({"INFO", "keyspace"}).text.contains("db7:keys="));
}
TEST_F(RedisLoginTest, a_database_that_is_not_there_is_a_failure) { EXPECT_EQ(first_answer(RedisServer(), {}, 1000), "failed"); }

}  // namespace trouble_test
}  // namespace steelyard::quota
