// Verdicts of a real Redis: each kind of limit, leases, what is given back, and keys of every shape.
#include "quota/redis/store.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "quota/redis/fixture.hpp"
#include "support/redis_server.hpp"

namespace steelyard::quota {
namespace store_test {

using limit::Kind;
using limit::Rule;
using testing::five_a_minute;
using testing::in_words;
using testing::patient_options;
using testing::take;
using testing_support::RedisServer;

struct RedisStoreTest : ::testing::Test {
  std::unique_ptr<RedisServer> redis;
  std::unique_ptr<testing::World> world;

  void SetUp() override {
    SKIP_WITHOUT("redis-server");
    redis = std::make_unique<RedisServer>();
  }
  void ask(std::function<Task<void>(RedisStore&)> work) {
    world = std::make_unique<testing::World>();
    world->run_with(patient_options(redis->address()), std::move(work));
  }

  // All keys expire.
  void expect_expiries() {
    const auto keys = redis->ask({"KEYS", "*"});
    EXPECT_FALSE(keys.items.empty());
    for (const auto& key : keys.items) EXPECT_GT(redis->ask({"PTTL", key.text}).integer, 0) << key.text;
  }
};

TEST_F(RedisStoreTest, five_of_six_in_a_window) {
  ask([&](RedisStore& store) -> Task<void> {
    for (std::uint64_t i = 1; i <= 5; ++i) {
      const auto answer = co_await take(store, five_a_minute, "client");
      EXPECT_EQ(in_words(answer), "allowed");
      EXPECT_EQ(answer->verdict.remaining, 5 - i);
      EXPECT_EQ(answer->verdict.retry_after, 0s);
    }
    const auto sixth = co_await take(store, five_a_minute, "client");
    EXPECT_EQ(in_words(sixth), "refused");
    EXPECT_EQ(sixth->verdict.remaining, 0U);
    EXPECT_GT(sixth->verdict.retry_after, 30s);
    EXPECT_LE(sixth->verdict.retry_after, 60s);
    EXPECT_EQ(sixth->verdict.reset, sixth->verdict.retry_after);
    const auto other = co_await take(store, five_a_minute, "another client");
    EXPECT_EQ(in_words(other), "allowed");
  });
  expect_expiries();
  const RedisCounters& counters = world->counters;
  EXPECT_EQ(counters.asked.value(), 7U);
  EXPECT_EQ(counters.round_trips.snapshot().count(), 7U);
  EXPECT_EQ(counters.errors.value() + counters.timeouts.value() + counters.unavailable.value(), 0U);
}

TEST_F(RedisStoreTest, a_window_begins_anew_when_its_time_has_passed) {
  const Rule rule{.kind = Kind::fixed_window, .count = 2, .period = 50ms};
  ask([&](RedisStore& store) -> Task<void> {
    auto answer = co_await take(store, rule, "client", 2);
    EXPECT_EQ(in_words(answer), "allowed");
    answer = co_await take(store, rule, "client");
    while (answer && !answer->verdict.allowed) {
      EXPECT_LE(answer->verdict.retry_after, 50ms);
      answer = co_await take(store, rule, "client");
    }
    EXPECT_EQ(answer->verdict.remaining, 1U);
  });
}

TEST_F(RedisStoreTest, a_bucket_gives_its_burst_and_then_what_flows_in) {
  const Rule rule{.kind = Kind::token_bucket, .count = 3, .period = 30s, .burst = 4};
  ask([&](RedisStore& store) -> Task<void> {
    for (std::uint64_t i = 1; i <= 4; ++i) {
      const auto answer = co_await take(store, rule, "client");
      EXPECT_EQ(in_words(answer), "allowed");
      EXPECT_EQ(answer->verdict.remaining, 4 - i);
      // A token comes every 10 s.
      EXPECT_LE(answer->verdict.reset, i * 10s);
      EXPECT_GT(answer->verdict.reset, i * 10s - 9s);
    }
    const auto fifth = co_await take(store, rule, "client");
    EXPECT_EQ(in_words(fifth), "refused");
    EXPECT_GT(fifth->verdict.retry_after, 1s);
    EXPECT_LE(fifth->verdict.retry_after, 10s);
    const auto too_many = co_await take(store, rule, "new client", 5);
    EXPECT_EQ(in_words(too_many), "refused");
    EXPECT_EQ(too_many->verdict.remaining, 4U);
  });
  expect_expiries();
}

TEST_F(RedisStoreTest, a_bucket_counts_exactly_however_large_it_is) {
  for (const Rule& rule : {Rule{.kind = Kind::token_bucket, .count = 1'000'000, .period = 24h, .burst = 1'000'000},
                           Rule{.kind = Kind::token_bucket, .count = 1, .period = 24h * 365, .burst = 100'000'000},
                           Rule{.kind = Kind::token_bucket, .count = 7, .period = 3s, .burst = 999}}) {
    ask([&](RedisStore& store) -> Task<void> {
      const auto most = co_await take(store, rule, "client", rule.burst - 1);
      EXPECT_EQ(in_words(most), "allowed");
      EXPECT_EQ(most->verdict.remaining, 1U);
      const auto last = co_await take(store, rule, "client");
      EXPECT_EQ(in_words(last), "allowed");
    });
    redis->ask({"FLUSHALL"});
  }
}

TEST_F(RedisStoreTest, a_sliding_window_never_has_more_than_its_count) {
  const Rule rule{.kind = Kind::sliding_window, .count = 4, .period = 60ms};
  // Redis decided somewhere between these two.
  struct Allowed {
    Instant asked;
    Instant answered;
  };
  std::vector<Allowed> allowed;
  ask([&](RedisStore& store) -> Task<void> {
    while (allowed.size() < 16) {
      const Instant asked = monotonic_now();
      const auto answer = co_await take(store, rule, "client");
      EXPECT_TRUE(answer);
      if (!answer) break;
      if (answer->verdict.allowed) allowed.push_back({asked, monotonic_now()});
      if (!answer->verdict.allowed) EXPECT_LE(answer->verdict.retry_after, 70ms);
    }
  });
  for (std::size_t i = 4; i < allowed.size(); ++i) EXPECT_GE(allowed[i].answered - allowed[i - 4].asked, 60ms) << i;
}

TEST_F(RedisStoreTest, what_is_leased_counts_as_taken) {
  for (const Kind kind : {Kind::fixed_window, Kind::sliding_window, Kind::token_bucket}) {
    const Rule rule{.kind = kind, .count = 10, .period = 60s, .burst = 10};
    ask([&](RedisStore& store) -> Task<void> {
      const auto first = co_await take(store, rule, "client", 1, 5);
      EXPECT_EQ(first->granted, 5U);
      EXPECT_EQ(first->verdict.remaining, 4U);
      EXPECT_EQ(first->good_for, 1s);
      const auto second = co_await take(store, rule, "client", 1, 5);
      EXPECT_EQ(second->granted, 3U);
      EXPECT_EQ(second->verdict.remaining, 0U);
      const auto third = co_await take(store, rule, "client", 1, 5);
      EXPECT_EQ(in_words(third), "refused");
      EXPECT_EQ(third->granted, 0U);
      EXPECT_GT(third->verdict.retry_after, 0s);
    });
    redis->ask({"FLUSHALL"});
  }
}

TEST_F(RedisStoreTest, a_lease_ends_with_its_window) {
  const Rule rule{.kind = Kind::fixed_window, .count = 10, .period = 200ms};
  ask([&](RedisStore& store) -> Task<void> {
    const auto leased = co_await take(store, rule, "client", 1, 5);
    EXPECT_LE(leased->good_for, 200ms);
    EXPECT_GT(leased->good_for, 0ms);
  });
}

TEST_F(RedisStoreTest, what_is_given_back_may_be_taken_again_and_no_more) {
  for (const Kind kind : {Kind::fixed_window, Kind::sliding_window, Kind::token_bucket}) {
    const Rule rule{.kind = kind, .count = 3, .period = 600s, .burst = 3};
    const Demand demand{.rule = &rule, .limit = "test", .key = "client"};
    ask([&](RedisStore& store) -> Task<void> {
      const auto taken = co_await take(store, rule, "client", 2);
      EXPECT_EQ(in_words(taken), "allowed");
      store.give_back(demand, *taken, 2);
      // More than was there.
      store.give_back(demand, *taken, 5);
      const auto again = co_await take(store, rule, "client", 3);
      EXPECT_EQ(in_words(again), "allowed");
      EXPECT_EQ(again->verdict.remaining, 0U);
      const auto over = co_await take(store, rule, "client");
      EXPECT_EQ(in_words(over), "refused");
    });
    expect_expiries();
    redis->ask({"FLUSHALL"});
  }
}

TEST_F(RedisStoreTest, nothing_is_given_back_of_what_was_taken_in_a_window_that_has_passed) {
  for (const Kind kind : {Kind::fixed_window, Kind::sliding_window, Kind::token_bucket}) {
    const Rule rule{.kind = kind, .count = 2, .period = 600s, .burst = 2};
    const Demand demand{.rule = &rule, .limit = "test", .key = "client"};
    ask([&](RedisStore& store) -> Task<void> {
      const auto taken = co_await take(store, rule, "client", 2);
      EXPECT_EQ(in_words(taken), "allowed");
      // As if it had been an hour ago: seven slices, or so many microseconds.
      Grant earlier = *taken;
      earlier.mark -= kind == Kind::sliding_window ? 7 : 3'600'000'000;
      store.give_back(demand, earlier, 2);
      const auto over = co_await take(store, rule, "client");
      EXPECT_EQ(in_words(over), "refused");
    });
    redis->ask({"FLUSHALL"});
  }
}

TEST_F(RedisStoreTest, several_limits_are_asked_in_one_go) {
  const Rule one{.kind = Kind::fixed_window, .count = 1, .period = 60s};
  ask([&](RedisStore& store) -> Task<void> {
    Asked asked[] = {{.demand = {.rule = &five_a_minute, .limit = "a", .key = "x"}},
                     {.demand = {.rule = &one, .limit = "b", .key = "x"}},
                     {.demand = {.rule = &one, .limit = "b", .key = "x"}}};
    co_await store.take(asked);
    EXPECT_EQ(in_words(asked[0].answer), "allowed");
    EXPECT_EQ(in_words(asked[1].answer), "allowed");
    EXPECT_EQ(in_words(asked[2].answer), "refused");
    co_await store.take({});
  });
}

TEST_F(RedisStoreTest, hostile_keys_are_keys_like_others) {
  using namespace std::string_literals;
  const std::vector<std::string> keys = {"a b",
                                         "\r\nFLUSHALL\r\n",
                                         "\0"s,
                                         "",
                                         "{tag}x",
                                         "{tag}y",
                                         "*",
                                         "?",
                                         "[a-z]",
                                         "a:b",
                                         std::string(64 * 1024, 'x'),
                                         std::string(64 * 1024 - 1, 'x'),
                                         "\xff\xfe",
                                         "'; return 1 --"};
  const Rule one{.kind = Kind::fixed_window, .count = 1, .period = 60s};
  ask([&](RedisStore& store) -> Task<void> {
    for (const char* expected : {"allowed", "refused"}) {
      for (const std::string& key : keys) {
        const auto answer = co_await take(store, one, key);
        EXPECT_EQ(in_words(answer), expected) << key.substr(0, 20);
      }
    }
  });
  const auto known = redis->ask({"KEYS", "*"});
  const auto is_probe = [](const resp::Reply& key) { return key.text == "steelyard:probe"; };  // where it has not expired yet
  EXPECT_EQ(known.items.size(), keys.size() + static_cast<std::size_t>(std::ranges::count_if(known.items, is_probe)));
  for (const auto& key : known.items) {
    EXPECT_TRUE(key.text.starts_with("steelyard:")) << key.text;
    EXPECT_FALSE(key.text.contains('{')) << key.text;
    EXPECT_LE(key.text.size(), 300U);
  }
}

TEST_F(RedisStoreTest, a_rule_that_has_changed_goes_on_from_what_was_taken) {
  for (const Kind kind : {Kind::fixed_window, Kind::sliding_window, Kind::token_bucket}) {
    ask([&](RedisStore& store) -> Task<void> {
      const Rule before{.kind = kind, .count = 10, .period = 600s, .burst = 10};
      const Rule after{.kind = kind, .count = 8, .period = 1200s, .burst = 8};
      auto answer = co_await take(store, before, "client", 6);
      EXPECT_EQ(answer->verdict.remaining, 4U);
      answer = co_await take(store, after, "client", 1);
      EXPECT_EQ(answer->verdict.remaining, 1U);
      // Of another kind: begins anew.
      const Rule other{.kind = kind == Kind::fixed_window ? Kind::sliding_window : Kind::fixed_window, .count = 10, .period = 600s};
      answer = co_await take(store, other, "client", 1);
      EXPECT_EQ(answer->verdict.remaining, 9U);
    });
    redis->ask({"FLUSHALL"});
  }
}

}  // namespace store_test
}  // namespace steelyard::quota
