// Each kind against a model that keeps everything that was allowed, over long random histories of one key.
#include "decide/limit/counting.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <numeric>
#include <vector>

#include "decide/limit/rules.hpp"

namespace steelyard::limit {
namespace counting_test {

constexpr int histories = 60;
constexpr int requests = 1'500;

// A history under a random rule; `ask(rule, now, cost, step)` sees every request with what became of it.
template <typename Ask>
void for_histories(Kind kind, Ask begin) {
  Prng chance(static_cast<std::uint64_t>(kind) + 1);
  for (int history = 0; history < histories && !::testing::Test::HasFailure(); ++history) {
    const Rule rule = any_rule(chance, kind);
    SCOPED_TRACE(::testing::Message() << "history " << history << ": " << rule);
    auto see = begin(rule);
    State state;
    Instant now{static_cast<std::int64_t>(chance.below(2) * chance.below(1'000'000'000'000))};
    Verdict last;
    for (int i = 0; i < requests && !::testing::Test::HasFailure(); ++i) {
      now = now + any_step(chance, rule, last);
      const std::uint64_t cost = any_cost(chance, rule);
      const Step step = take(rule, state, now, cost);
      see(state, now, cost, step);
      state = step.state;
      last = step.verdict;
    }
  }
}

__extension__ using Wide = __int128;

// The bucket that everybody draws: tokens drip in, and what does not fit runs over. Tokens in parts of 1/period.
struct Bucket {
  explicit Bucket(const Rule& of) : rule(of), tokens(full()) {}

  [[nodiscard]] Wide full() const { return Wide{static_cast<std::int64_t>(rule.burst)} * rule.period.count(); }
  void pass(Instant now) {
    tokens = std::min(full(), tokens + Wide{(now - at).count()} * static_cast<std::int64_t>(rule.count));
    at = now;
  }
  Rule rule;
  Wide tokens;
  Instant at{0};
};

TEST(TokenBucketTest, allows_what_a_bucket_of_tokens_allows) {
  for_histories(Kind::token_bucket, [](const Rule& rule) {
    return [rule, bucket = Bucket(rule)](State, Instant now, std::uint64_t cost, const Step& step) mutable {
      bucket.pass(now);
      const Wide price = Wide{static_cast<std::int64_t>(cost)} * rule.period.count();
      ASSERT_EQ(step.verdict.allowed, bucket.tokens >= price);
      if (step.verdict.allowed) bucket.tokens -= price;
      ASSERT_EQ(step.verdict.remaining, static_cast<std::uint64_t>(bucket.tokens / rule.period.count()));
    };
  });
}

TEST(BandwidthTest, says_when_the_debt_is_back_within_the_burst) {
  for_histories(Kind::bandwidth, [](const Rule& rule) {
    return [rule, bucket = Bucket(rule)](State, Instant now, std::uint64_t cost, const Step& step) mutable {
      bucket.pass(now);
      bucket.tokens -= Wide{static_cast<std::int64_t>(cost)} * rule.period.count();
      ASSERT_TRUE(step.verdict.allowed);
      ASSERT_EQ(step.verdict.remaining, bucket.tokens < 0 ? 0U : static_cast<std::uint64_t>(bucket.tokens / rule.period.count()));
      const auto count = static_cast<std::int64_t>(rule.count);
      ASSERT_EQ(step.verdict.retry_after.count(), bucket.tokens < 0 ? static_cast<std::int64_t>((count - 1 - bucket.tokens) / count) : 0);
    };
  });
}

TEST(FixedWindowTest, allows_the_count_in_a_period_from_the_first_request) {
  for_histories(Kind::fixed_window, [](const Rule& rule) {
    struct {
      std::optional<Instant> began;
      std::uint64_t used = 0;
    } window;
    return [rule, window](State, Instant now, std::uint64_t cost, const Step& step) mutable {
      if (window.began && now - *window.began >= rule.period) window = {};
      ASSERT_EQ(step.verdict.allowed, window.used + cost <= rule.count);
      if (step.verdict.allowed) {
        if (!window.began) window.began = now;
        window.used += cost;
      }
      ASSERT_EQ(step.verdict.remaining, rule.count - window.used);
    };
  });
}

TEST(FixedWindowTest, five_of_six_in_a_minute) {
  const Rule rule{.kind = Kind::fixed_window, .count = 5, .period = 60s};
  State state;
  for (int window = 0; window < 3; ++window) {
    const Instant began = Instant{7} + window * 60s;
    for (int i = 0; i < 6; ++i) {
      const Step step = take(rule, state, began + i * 11s, 1);
      EXPECT_EQ(step.verdict.allowed, i < 5) << window << ' ' << i;
      if (i == 5) EXPECT_EQ(step.verdict.retry_after, 5s);
      state = step.state;
    }
    EXPECT_FALSE(take(rule, state, began + (60s - 1ns), 1).verdict.allowed);
  }
}

// What was allowed, by the instant.
struct Log {
  std::deque<std::pair<Instant, std::uint64_t>> entries;

  [[nodiscard]] std::uint64_t since(Instant first) const {
    std::uint64_t sum = 0;
    for (auto entry = entries.rbegin(); entry != entries.rend() && entry->first >= first; ++entry) sum += entry->second;
    return sum;
  }
};

TEST(SlidingWindowTest, never_over_in_any_period_and_never_far_below) {
  for_histories(Kind::sliding_window, [](const Rule& rule) {
    return [rule, log = Log{}](State, Instant now, std::uint64_t cost, const Step& step) mutable {
      const std::int64_t slice_ns = (rule.period.count() + 5) / 6;
      const std::uint64_t in_slices = log.since(Instant{(now.ns / slice_ns - 6) * slice_ns});
      const std::uint64_t lost = 6 * ((rule.count + 254) / 255 - 1);
      if (step.verdict.allowed) {
        log.entries.emplace_back(now, cost);
        // Whichever period has too many, it has them when the last of them comes.
        ASSERT_LE(log.since(now + (Duration{1} - rule.period)), rule.count);
        ASSERT_LE(in_slices + cost, rule.count);
      } else {
        ASSERT_GT(in_slices + cost + lost, rule.count);
      }
      if (rule.count <= 255) ASSERT_EQ(step.verdict.allowed, in_slices + cost <= rule.count);
    };
  });
}

TEST(ConcurrentTest, at_most_the_count_at_once) {
  const Rule rule{.kind = Kind::concurrent, .count = 3};
  Prng chance(1);
  State state;
  std::uint64_t under_way = 0;
  for (int i = 0; i < 10'000; ++i) {
    if (chance.chance(0.5)) {
      const Step step = take(rule, state, {}, 1);
      ASSERT_EQ(step.verdict.allowed, under_way < 3);
      if (step.verdict.allowed) ++under_way;
      ASSERT_EQ(step.verdict.remaining, 3 - under_way);
      state = step.state;
    } else if (under_way > 0) {
      state = give_back(rule, state, {}, 1);
      --under_way;
    }
    ASSERT_EQ(left(rule, state, {}).count() == 0, under_way == 0);
  }
}

// What clients are told in Retry-After must be true: not a nanosecond too early, and no later than need be.
TEST(CountingTest, who_comes_back_when_told_is_let_in_and_not_before) {
  for (const Kind kind : timed_kinds) {
    for_histories(kind, [](const Rule& rule) {
      return [rule](State, Instant now, std::uint64_t cost, const Step& step) {
        const Duration wait = step.verdict.retry_after;
        const std::uint64_t most = rule.kind == Kind::token_bucket ? rule.burst : rule.count;
        if (rule.kind == Kind::bandwidth) {
          ASSERT_EQ(take(rule, step.state, now + wait, 0).verdict.retry_after, 0ns);
          if (wait > 0ns) ASSERT_EQ(take(rule, step.state, now + (wait - 1ns), 0).verdict.retry_after, 1ns);
        } else if (step.verdict.allowed) {
          ASSERT_EQ(wait, 0ns);
        } else if (cost > most) {
          ASSERT_EQ(wait, rule.period);
        } else {
          ASSERT_GT(wait, 0ns);
          ASSERT_TRUE(take(rule, step.state, now + wait, cost).verdict.allowed);
          ASSERT_FALSE(take(rule, step.state, now + (wait - 1ns), cost).verdict.allowed);
        }
      };
    });
  }
}

TEST(CountingTest, nothing_is_known_after_reset_and_something_before) {
  for (const Kind kind : timed_kinds) {
    for_histories(kind, [](const Rule& rule) {
      return [rule](State, Instant now, std::uint64_t, const Step& step) {
        const Duration reset = step.verdict.reset;
        ASSERT_EQ(left(rule, step.state, now), reset);
        ASSERT_EQ(left(rule, step.state, now + reset), 0ns);
        if (reset > 0ns) ASSERT_EQ(left(rule, step.state, now + (reset - 1ns)), 1ns);
        const Verdict fresh = look(rule, State{}, now + reset);
        ASSERT_EQ(look(rule, step.state, now + reset).remaining, fresh.remaining);
      };
    });
  }
}

TEST(CountingTest, refused_and_free_requests_change_nothing) {
  for (const Kind kind : timed_kinds) {
    for_histories(kind, [](const Rule& rule) {
      return [rule](State before, Instant now, std::uint64_t, const Step& step) {
        if (!step.verdict.allowed) ASSERT_EQ(step.state, before);
        const Step free = take(rule, step.state, now, 0);
        ASSERT_EQ(free.state, step.state);
        ASSERT_TRUE(free.verdict.allowed);
        const Verdict seen = look(rule, step.state, now);
        ASSERT_EQ(seen.remaining, free.verdict.remaining);
        ASSERT_EQ(seen.allowed, rule.kind == Kind::bandwidth || seen.remaining > 0);
      };
    });
  }
}

TEST(CountingTest, what_is_given_back_at_once_was_never_taken) {
  for (const Kind kind : timed_kinds) {
    for_histories(kind, [](const Rule& rule) {
      return [rule](State before, Instant now, std::uint64_t cost, const Step& step) {
        if (!step.verdict.allowed) return;
        const State undone = give_back(rule, step.state, now, cost);
        ASSERT_EQ(take(rule, undone, now, 0).verdict.remaining, take(rule, before, now, 0).verdict.remaining);
        for (const Duration later : {rule.period / 7, rule.period / 2, rule.period}) {
          ASSERT_EQ(look(rule, undone, now + later).remaining, look(rule, before, now + later).remaining) << later.count();
        }
      };
    });
  }
}

TEST(CountingTest, what_belongs_to_an_earlier_window_is_not_given_back_to_this_one) {
  for (const Kind kind : {Kind::fixed_window, Kind::sliding_window}) {
    const Rule rule{.kind = kind, .count = 5, .period = 6s};
    const State first = take(rule, State{}, Instant{0} + 1s, 1).state;
    const State second = take(rule, first, Instant{0} + 20s, 5).state;
    EXPECT_EQ(look(rule, give_back(rule, second, Instant{0} + 1s, 1), Instant{0} + 20s).remaining, 0U) << name(kind);
    EXPECT_EQ(look(rule, give_back(rule, second, Instant{0} + 20s, 1), Instant{0} + 20s).remaining, 1U) << name(kind);
    EXPECT_EQ(give_back(rule, second, Instant{0} + 20s, 5), State{}) << name(kind);
  }
}

TEST(SlidingWindowTest, gives_back_into_an_old_slice_only_what_it_counts_exactly) {
  for (const std::uint64_t count : {255U, 256U}) {
    const Rule rule{.kind = Kind::sliding_window, .count = count, .period = 6s};
    State state = take(rule, State{}, Instant{0} + 10s, 10).state;
    state = take(rule, state, Instant{0} + 12s, 20).state;
    state = give_back(rule, state, Instant{0} + 10s, 3);
    EXPECT_EQ(look(rule, state, Instant{0} + 12s).remaining, count - (count == 255 ? 27 : 30));
    EXPECT_EQ(look(rule, state, Instant{0} + 17s).remaining, count - 20) << "the newer slice has what it had";
  }
}

TEST(SlidingWindowTest, numbers_that_repeat_are_long_apart) {
  constexpr Duration min = sliding_window::repeats_after_min;
  for (const std::uint64_t count : {5U, 1'000'000U}) {
    const Rule rule{.kind = Kind::sliding_window, .count = count, .period = 1s};
    ASSERT_FALSE(problem(rule));
    const Instant now{1'000'000'000};
    const State full = take(rule, State{}, now, count).state;
    for (const Duration idle : {Duration{1200ms}, Duration{24h}, min / 2, min - 2h}) {
      EXPECT_EQ(look(rule, full, now + idle).remaining, count) << idle.count();
    }
    EXPECT_EQ(look(rule, full, now + -900ms).remaining, 0U) << "by a clock that is behind";
  }
}

// Workers read their clocks at different moments. Whoever's clock is behind is held to what the others have counted.
TEST(CountingTest, clocks_that_differ_a_little_let_nobody_in_twice) {
  Prng chance(5);
  for (const Kind kind : {Kind::token_bucket, Kind::fixed_window, Kind::sliding_window}) {
    for (int history = 0; history < histories; ++history) {
      const Rule rule = any_rule(chance, kind);
      SCOPED_TRACE(::testing::Message() << "history " << history << ": " << rule);
      const Duration jitter = std::min<Duration>(50ms, rule.period / 4);
      std::deque<std::pair<Instant, std::uint64_t>> log;
      State state;
      Instant now{1'000'000'000};
      Verdict last;
      for (int i = 0; i < 400; ++i) {
        now = now + any_step(chance, rule, last);
        const Instant own = now + -Duration{static_cast<std::int64_t>(chance.below(static_cast<std::uint64_t>(jitter.count())))};
        const std::uint64_t cost = any_cost(chance, rule);
        const Step step = take(rule, state, own, cost);
        state = step.state;
        last = step.verdict;
        ASSERT_LE(last.retry_after, kind == Kind::token_bucket ? fill_max : rule.period + rule.period / 6 + jitter + 1us);
        if (!last.allowed) continue;
        log.emplace_back(own, cost);
        Wide sum = 0;
        for (auto entry = log.rbegin(); entry != log.rend(); ++entry) {
          sum += static_cast<std::int64_t>(entry->second);
          const Duration span = own - entry->first;
          const Wide time_parts = Wide{span.count()} * static_cast<std::int64_t>(rule.count);
          if (kind == Kind::token_bucket) {
            ASSERT_LE((sum - static_cast<std::int64_t>(rule.burst)) * rule.period.count(), time_parts);
          } else if (kind == Kind::sliding_window && span < rule.period - jitter) {
            ASSERT_LE(sum, static_cast<std::int64_t>(rule.count));
          }
        }
      }
    }
  }
}

TEST(CountingTest, changed_rule_holds_nobody_for_long) {
  const Instant now{1'000'000'000'000};
  const Rule slow{.kind = Kind::token_bucket, .count = 1, .period = 30 * 24h, .burst = 1};
  const Rule quick{.kind = Kind::token_bucket, .count = 10, .period = 1s, .burst = 5};
  const Step told = take(quick, take(slow, State{}, now, 1).state, now, 1);
  EXPECT_FALSE(told.verdict.allowed);
  EXPECT_EQ(told.verdict.retry_after, 100ms);
  EXPECT_TRUE(take(quick, told.state, now + 100ms, 1).verdict.allowed);
  EXPECT_EQ(take(quick, told.state, now + 10s, 1).verdict.remaining, 4U);
  const Rule month{.kind = Kind::fixed_window, .count = 5, .period = 30 * 24h};
  const Rule second{.kind = Kind::fixed_window, .count = 3, .period = 1s};
  EXPECT_EQ(take(second, take(month, State{}, now, 5).state, now + 400ms, 1).verdict.retry_after, 600ms);
}

// A table may ask about a state that never was (two halves of different ones): any answer does, as long as there is one.
TEST(CountingTest, reads_every_state_as_something) {
  Prng chance(9);
  for (const Kind kind : {Kind::token_bucket, Kind::fixed_window, Kind::sliding_window, Kind::bandwidth, Kind::concurrent}) {
    for (int i = 0; i < 20'000; ++i) {
      const Rule rule = any_rule(chance, kind);
      const std::uint64_t most = kind == Kind::token_bucket || kind == Kind::bandwidth ? rule.burst : rule.count;
      const State state{chance.next() >> (1 + chance.below(63)), static_cast<std::uint32_t>(chance.next())};
      const Instant now{static_cast<std::int64_t>(chance.next() >> (1 + chance.below(63)))};
      const std::uint64_t cost = chance.next() >> chance.below(64);
      const Step step = take(rule, state, now, cost);
      ASSERT_LE(step.verdict.remaining, most) << rule;
      ASSERT_GE(step.verdict.retry_after, 0ns) << rule;
      ASSERT_GE(step.verdict.reset, 0ns) << rule;
      ASSERT_EQ(step.state.low >> 63U, 0U) << rule;
      ASSERT_EQ(give_back(rule, state, now, cost).low >> 63U, 0U) << rule;
      ASSERT_GE(left(rule, state, now), 0ns) << rule;
    }
  }
  EXPECT_TRUE(take({.kind = Kind::fixed_window, .count = 1, .period = 1s}, State{}, Instant{-5}, 1).verdict.allowed);
}

}  // namespace counting_test
}  // namespace steelyard::limit
