// What a server has to do for clients that were sent to it: by reports, by what was sent since, and by what never arrived.
#include "upstream/remote_work.hpp"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace steelyard {
namespace remote_work_test {

struct RemoteWorkTest : ::testing::Test {
  RemoteWork work;
  Instant now{1'000'000'000};
  std::int64_t active = 0;  // what Server would count

  void send(int count, Duration lifetime = 30s) {
    for (int i = 0; i < count; ++i) active += work.send(lifetime) ? 1 : 0;
  }
  void report(std::uint32_t load, std::uint64_t arrived, const char* run = "one") {
    active += work.report({load, arrived, run}, now);
    EXPECT_EQ(active, work.value());
  }
  void wait(Duration duration) {
    now = now + duration;
    active += work.drop_lost(now);
    EXPECT_EQ(active, work.value());
  }
};

TEST_F(RemoteWorkTest, of_a_server_that_never_reports_nothing_counts) {
  send(5);
  EXPECT_EQ(active, 0);
  EXPECT_EQ(work.value(), 0);
  EXPECT_EQ(work.redirects(), 5U);
  wait(1s);
  EXPECT_EQ(active, 0);
}

TEST_F(RemoteWorkTest, what_is_sent_counts_until_the_report_says_that_it_has_arrived) {
  report(0, 0);
  send(10);
  EXPECT_EQ(work.value(), 10);
  report(6, 7);
  EXPECT_EQ(active, 9) << "six that are at work, three that are on their way; one has ended";
  send(1);
  EXPECT_EQ(active, 10);
  report(0, 11);
  EXPECT_EQ(active, 0);
}

TEST_F(RemoteWorkTest, what_was_there_before_the_first_report_counts_by_that) {
  send(3);
  report(2, 100);
  EXPECT_EQ(active, 2);
  send(1);
  report(3, 101);
  EXPECT_EQ(active, 3);
}

TEST_F(RemoteWorkTest, another_process_counts_on_from_what_is_known) {
  EXPECT_FALSE(work.known());
  report(2, 10);
  send(3);
  const auto known = work.known();
  ASSERT_TRUE(known);
  EXPECT_EQ(*known, (LoadReport{5, 10, "one"}));
  RemoteWork other;
  EXPECT_EQ(other.report(*known, now), 5);
  EXPECT_TRUE(other.send(30s));
  EXPECT_EQ(other.value(), 6);
  // Who was sent by the one process cannot be told from who was sent by the other: until the next report the new one is thought to be
  // there.
  EXPECT_EQ(other.report({5, 13, "one"}, now), -1);
  EXPECT_EQ(other.report({6, 14, "one"}, now), 1);
}

TEST_F(RemoteWorkTest, what_never_arrives_is_dropped_after_the_lifetime) {
  report(0, 0);
  send(10);
  wait(100ms);
  for (int i = 0; i < 298; ++i) {
    report(4, 6);
    wait(100ms);
    ASSERT_EQ(active, 8) << i;
  }
  now = now + 2s;
  report(4, 6);
  EXPECT_EQ(active, 4) << "six have arrived and four never will";
}

TEST_F(RemoteWorkTest, it_is_dropped_without_reports_as_well) {
  report(2, 0);
  send(10);
  for (int i = 0; i < 400; ++i) wait(100ms);
  EXPECT_EQ(active, 2);
}

TEST_F(RemoteWorkTest, a_steady_loss_does_not_add_up) {
  report(0, 0);
  std::uint64_t arrived = 0;
  for (int second = 0; second < 600; ++second) {
    send(10);
    arrived += 9;
    now = now + 500ms;
    report(0, arrived);
    wait(500ms);
    ASSERT_LE(active, 32) << second;  // those of the last lifetime, and a step
  }
  EXPECT_GE(active, 29);
}

TEST_F(RemoteWorkTest, the_longest_lifetime_counts) {
  report(0, 0);
  send(1, 60s);
  send(1, 10s);
  for (int i = 0; i < 590; ++i) wait(100ms);
  EXPECT_EQ(active, 2);
  for (int i = 0; i < 40; ++i) wait(100ms);
  EXPECT_EQ(active, 0);
}

TEST_F(RemoteWorkTest, a_new_run_counts_anew) {
  report(0, 1000);
  send(10);
  report(10, 1010);
  send(2);
  report(0, 0, "two");
  EXPECT_EQ(active, 0) << "what was there has ended with it";
  send(1);
  report(1, 1, "two");
  EXPECT_EQ(active, 1);
}

TEST_F(RemoteWorkTest, arrivals_that_others_have_sent_take_nothing_away) {
  report(0, 0);
  send(1);
  report(50, 50);
  EXPECT_EQ(active, 50);
  send(3);
  EXPECT_EQ(active, 53);
  report(50, 50);
  EXPECT_EQ(active, 53);
}

TEST_F(RemoteWorkTest, the_end_takes_away_all_of_it) {
  report(7, 0);
  send(5);
  active += work.end();
  EXPECT_EQ(active, 0);
  EXPECT_EQ(work.value(), 0);
  send(1);
  EXPECT_EQ(active, 0);
  report(1, 3);
  EXPECT_EQ(active, 1) << "it is back";
}

// Whatever the order in which they meet, what is counted is what was sent and is not settled.
TEST(RemoteWorkThreads, no_send_is_lost_or_counted_twice) {
  constexpr int senders = 3;
  constexpr int sends = 20'000;
  RemoteWork work;
  std::atomic<std::int64_t> active{0};
  active += work.report({5, 0, "one"}, Instant{1});
  std::atomic<int> left{senders};
  std::vector<std::thread> threads;
  for (int i = 0; i < senders; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < sends; ++k) {
        active.fetch_add(1);
        if (!work.send(1h)) active.fetch_sub(1);
      }
      left.fetch_sub(1);
    });
  }
  std::uint64_t arrived = 0;
  while (left.load() != 0) {
    active += work.report({5, arrived, "one"}, Instant{2});
    EXPECT_GE(active.load(), 0);
    arrived += 7;
    active += work.end();
    active += work.report({5, arrived, "one"}, Instant{2});
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(active.load(), work.value());
  active += work.end();
  EXPECT_EQ(active.load(), 0);
}

}  // namespace remote_work_test
}  // namespace steelyard
