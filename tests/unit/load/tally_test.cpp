#include "load/tally.hpp"

#include <gtest/gtest.h>

#include "support/line.hpp"

namespace steelyard::load {
namespace tally_test {

using testing_support::at_ms;

TEST(Tally, tells_success_from_answers_and_answers_from_failures) {
  Tally tally;
  tally.count({.status = 200, .body_bytes = 10}, 1ms, at_ms(1));
  tally.count({.status = 302}, 2ms, at_ms(5));
  tally.count({.status = 503, .body_bytes = 5}, 3ms, at_ms(3));
  tally.count({.failure = Failure::reset, .body_bytes = 2}, 4ms, at_ms(4));
  EXPECT_EQ(tally.total(), 4U);
  EXPECT_EQ(tally.answered(), 3U);
  EXPECT_EQ(tally.succeeded(), 2U);
  EXPECT_EQ(tally.failed(), 1U);
  EXPECT_EQ(tally.body_bytes, 17U);
  EXPECT_EQ(tally.last_end, at_ms(5));
  EXPECT_EQ(tally.latency.maximum(), 3ms);  // of answers only
}

TEST(Tally, servers_are_counted_by_name_also_over_threads_that_number_them_differently) {
  ServerNames names_a;
  ServerNames names_b;
  Tally a;
  Tally b;
  a.count({.status = 200, .server = names_a.number_of("one")}, 1ms, at_ms(1));
  a.count({.status = 200, .server = names_a.number_of("two")}, 1ms, at_ms(1));
  b.count({.status = 200, .server = names_b.number_of("two")}, 1ms, at_ms(1));
  b.count({.status = 200}, 1ms, at_ms(1));
  a.name_servers(names_a);
  b.name_servers(names_b);
  a.merge(b);
  EXPECT_EQ(a.servers, (std::map<std::string, std::uint64_t>{{"-", 1}, {"one", 1}, {"two", 2}}));
}

TEST(Tally, merging_adds_everything) {
  Tally a;
  Tally b;
  a.count({.status = 200}, 1ms, at_ms(9));
  b.count({.status = 200}, 3ms, at_ms(2));
  b.count({.failure = Failure::timeout}, 1s, at_ms(3));
  b.connections_opened = 4;
  b.queued = 2;
  b.abandoned = 1;
  a.merge(b);
  EXPECT_EQ(a.statuses[200], 2U);
  EXPECT_EQ(a.failures[static_cast<std::size_t>(Failure::timeout)], 1U);
  EXPECT_EQ(a.connections_opened, 4U);
  EXPECT_EQ(a.queued, 2U);
  EXPECT_EQ(a.abandoned, 1U);
  EXPECT_EQ(a.latency.mean(), 2ms);
  EXPECT_EQ(a.last_end, at_ms(9));
}

TEST(ServerNames, their_number_is_bounded) {
  ServerNames names;
  for (std::size_t i = 0; i < 3 * ServerNames::names_max; ++i) names.number_of(std::to_string(i));
  EXPECT_LE(names.size(), ServerNames::names_max + 1);
  EXPECT_EQ(names.name(names.number_of("one more")), "others");
  EXPECT_EQ(names.name(names.number_of("7")), "7");
}

TEST(ServerNames, their_length_is_bounded) {
  ServerNames names;
  EXPECT_EQ(names.name(names.number_of(std::string(10'000, 'x'))).size(), ServerNames::name_bytes_max);
}

}  // namespace tally_test
}  // namespace steelyard::load
