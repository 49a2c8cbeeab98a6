// What becomes of a lookup's outcome, in simulated time: when the next one is due, what is kept, and what is told.
#include "upstream/name_schedule.hpp"

#include <gtest/gtest.h>

#include "support/line.hpp"

namespace steelyard {
namespace name_schedule_test {

using testing_support::at_ms;

struct NameScheduleTest : ::testing::Test {
  static ResolvedServer server(std::string_view address, std::uint32_t weight = 1, bool backup = false) {
    return {*SocketAddress::parse(address), weight, backup};
  }
  static LookupOutcome found(std::vector<ResolvedServer> servers, Duration ttl) { return {.servers = std::move(servers), .ttl = ttl}; }
  static LookupOutcome failed(std::string problem) { return {.problem = std::move(problem)}; }
  // Takes it at `now` and gives the pause until the next lookup.
  Duration pause(LookupOutcome outcome) {
    news = schedule.take(std::move(outcome), now, prng);
    return schedule.next() - now;
  }
  const std::vector<ResolvedServer>& servers() { return schedule.report().servers; }

  ResolveOptions options{.jitter = 0};
  NameSchedule schedule{options};
  Prng prng{1};
  Instant now = at_ms(5000);
  bool news = false;
};

TEST_F(NameScheduleTest, an_answer_is_good_for_its_ttl_within_the_bounds) {
  EXPECT_EQ(pause(found({server("10.0.0.1:80")}, 42s)), 42s);
  EXPECT_EQ(pause(found({server("10.0.0.1:80")}, 0s)), 1s);
  EXPECT_EQ(pause(found({server("10.0.0.1:80")}, 1h)), 5min);
  EXPECT_EQ(pause(found({server("10.0.0.1:80")}, Duration::max())), 5min);
}

TEST_F(NameScheduleTest, is_due_at_once_at_first) { EXPECT_LE(schedule.next(), now); }

TEST_F(NameScheduleTest, jitter_goes_either_way_and_stays_within_its_share) {
  options.jitter = 0.1;
  Duration least = Duration::max();
  Duration most{0};
  for (int i = 0; i < 1000; ++i) {
    const Duration drawn = pause(found({server("10.0.0.1:80")}, 100s));
    least = std::min(least, drawn);
    most = std::max(most, drawn);
  }
  EXPECT_GE(least, 90s);
  EXPECT_LT(least, 91s);
  EXPECT_LE(most, 110s);
  EXPECT_GT(most, 109s);
}

TEST_F(NameScheduleTest, tells_servers_when_they_have_changed_and_only_then) {
  pause(found({server("10.0.0.2:80"), server("10.0.0.1:80")}, 1s));
  EXPECT_TRUE(news);
  EXPECT_TRUE(schedule.report().servers_changed);
  EXPECT_EQ(servers(), std::vector({server("10.0.0.1:80"), server("10.0.0.2:80")}));
  pause(found({server("10.0.0.1:80"), server("10.0.0.2:80")}, 2s));  // in another order
  EXPECT_FALSE(news);
  EXPECT_FALSE(schedule.report().servers_changed);
  pause(found({server("10.0.0.1:80"), server("10.0.0.2:80", 5)}, 2s));
  EXPECT_TRUE(schedule.report().servers_changed);
}

TEST_F(NameScheduleTest, keeps_the_last_good_answer_while_lookups_fail) {
  pause(found({server("10.0.0.1:80")}, 1s));
  pause(failed("no DNS server answered in time"));
  EXPECT_TRUE(news);
  EXPECT_FALSE(schedule.report().servers_changed);
  EXPECT_EQ(schedule.report().problem, "no DNS server answered in time");
  EXPECT_EQ(servers(), std::vector({server("10.0.0.1:80")}));
  pause(found({}, 60s));
  EXPECT_EQ(schedule.report().problem, "the answer holds no address");
  EXPECT_EQ(servers(), std::vector({server("10.0.0.1:80")}));
}

TEST_F(NameScheduleTest, tells_a_problem_once_and_when_it_is_another_and_when_it_is_over) {
  pause(failed("a"));
  EXPECT_TRUE(news);
  EXPECT_TRUE(servers().empty());
  pause(failed("a"));
  EXPECT_FALSE(news);
  pause(failed("b"));
  EXPECT_TRUE(news);
  pause(found({server("10.0.0.1:80")}, 1s));
  EXPECT_TRUE(news);
  EXPECT_EQ(schedule.report().problem, "");
  pause(failed("a"));
  pause(found({server("10.0.0.1:80")}, 1s));
  EXPECT_TRUE(news);
  EXPECT_FALSE(schedule.report().servers_changed);
}

TEST_F(NameScheduleTest, failures_in_a_row_are_retried_with_growing_pauses) {
  for (const Duration expected : {1s, 2s, 4s, 8s, 16s, 30s, 30s}) EXPECT_EQ(pause(failed("a")), expected);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(pause(failed("a")), 30s);
  EXPECT_EQ(pause(found({server("10.0.0.1:80")}, 60s)), 60s);
  EXPECT_EQ(pause(failed("a")), 1s);
}

TEST_F(NameScheduleTest, an_answer_with_a_problem_counts_and_is_retried_like_a_failure) {
  LookupOutcome outcome = found({server("10.0.0.1:80")}, 60s);
  outcome.problem = "its target b: there is no such name";
  EXPECT_EQ(pause(outcome), 1s);
  EXPECT_EQ(servers(), std::vector({server("10.0.0.1:80")}));
  for (int i = 0; i < 10; ++i) pause(outcome);
  EXPECT_EQ(pause(outcome), 30s);
  outcome.ttl = 3s;
  EXPECT_EQ(pause(outcome), 3s);
}

TEST_F(NameScheduleTest, one_address_counts_once_and_rather_as_a_primary) {
  pause(found({server("10.0.0.1:80", 9, true), server("10.0.0.1:80", 2), server("10.0.0.1:80", 3), server("10.0.0.1:81")}, 1s));
  EXPECT_EQ(servers(), std::vector({server("10.0.0.1:80", 3), server("10.0.0.1:81")}));
}

TEST_F(NameScheduleTest, primaries_stand_before_backups) {
  pause(found({server("10.0.0.1:80", 1, true), server("10.0.0.3:80"), server("10.0.0.2:80", 1, true), server("10.0.0.4:80")}, 1s));
  EXPECT_EQ(servers(),
            std::vector({server("10.0.0.3:80"), server("10.0.0.4:80"), server("10.0.0.1:80", 1, true), server("10.0.0.2:80", 1, true)}));
}

TEST_F(NameScheduleTest, of_too_many_the_first_are_used_and_a_warning_is_told_once) {
  options.addresses_max = 2;
  pause(found({server("10.0.0.1:80"), server("10.0.0.2:80")}, 1s));
  EXPECT_EQ(schedule.report().warning, "");
  pause(found({server("10.0.0.0:80", 1, true), server("10.0.0.3:80"), server("10.0.0.1:80"), server("10.0.0.2:80")}, 1s));
  EXPECT_TRUE(news);
  EXPECT_EQ(servers(), std::vector({server("10.0.0.1:80"), server("10.0.0.2:80")}));
  EXPECT_EQ(schedule.report().warning, "it has more than 2 addresses, and only the first 2 in their order are used");
  pause(found({server("10.0.0.4:80"), server("10.0.0.3:80"), server("10.0.0.1:80"), server("10.0.0.2:80")}, 1s));
  EXPECT_FALSE(news);
}

TEST_F(NameScheduleTest, a_failure_does_not_take_a_warning_back) {
  LookupOutcome odd = found({server("10.0.0.1:80")}, 1s);
  odd.warning = "odd";
  pause(odd);
  pause(failed("a"));
  EXPECT_EQ(schedule.report().warning, "odd");
  pause(odd);
  EXPECT_EQ(schedule.report().warning, "odd");
  pause(found({server("10.0.0.1:80")}, 1s));
  EXPECT_TRUE(news);
  EXPECT_EQ(schedule.report().warning, "");
}

}  // namespace name_schedule_test
}  // namespace steelyard
