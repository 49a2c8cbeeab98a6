// Leases that run out: one by one, all at once, all one after another.
#include "upstream/lease_book.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

namespace steelyard {
namespace lease_book_test {

constexpr Duration length = 30s;
const LeaseBook::Gone nobody_gone = [](const std::string&) { return false; };
const LeaseBook::Gone all_gone = [](const std::string&) { return true; };

Instant at(double seconds) { return Instant{static_cast<std::int64_t>(seconds * 1e9)}; }
std::string id(int i) { return "s" + std::to_string(i); }

// `count` leases, whose heartbeats are spread evenly over ten seconds: they run out from 20 to 30 s.
LeaseBook staggered(int count) {
  LeaseBook book;
  for (int i = 0; i < count; ++i) book.renew(id(i), length, at(20 + 10.0 * i / count));
  return book;
}

TEST(LeaseBook, one_that_runs_out_ends) {
  LeaseBook book = staggered(10);
  EXPECT_TRUE(book.expire(at(19.9), 0.5, nobody_gone).empty());
  EXPECT_EQ(book.next(), at(20));
  const auto verdicts = book.expire(at(20), 0.5, nobody_gone);
  ASSERT_EQ(verdicts.size(), 1U);
  EXPECT_EQ(verdicts[0].id, "s0");
  EXPECT_FALSE(verdicts[0].kept);
  EXPECT_EQ(book.size(), 9U);
  EXPECT_TRUE(book.expire(at(20), 0.5, nobody_gone).empty());
}

TEST(LeaseBook, at_most_the_share_ends_when_all_run_out_one_after_another) {
  LeaseBook book = staggered(10);
  std::size_t ended = 0;
  std::size_t kept = 0;
  for (double now = 20; now < 200; now += 0.5) {
    for (const auto& verdict : book.expire(at(now), 0.5, nobody_gone)) ++(verdict.kept ? kept : ended);
  }
  EXPECT_EQ(ended, 5U);
  EXPECT_EQ(kept, 5U);
  EXPECT_EQ(book.size(), 5U);
}

TEST(LeaseBook, losses_far_apart_are_not_at_once) {
  LeaseBook book;
  for (int i = 0; i < 10; ++i) book.renew(id(i), length, at(100.0 * (i + 1)));
  for (int i = 0; i < 10; ++i) {
    const auto verdicts = book.expire(at(100.0 * (i + 1)), 0.5, nobody_gone);
    ASSERT_EQ(verdicts.size(), 1U);
    EXPECT_FALSE(verdicts[0].kept) << i;
  }
}

TEST(LeaseBook, two_are_too_few_to_keep) {
  LeaseBook book;
  book.renew("a", length, at(30));
  book.renew("b", length, at(30));
  for (const auto& verdict : book.expire(at(30), 0.5, nobody_gone)) EXPECT_FALSE(verdict.kept);
  EXPECT_EQ(book.size(), 0U);
}

TEST(LeaseBook, an_overdue_one_that_is_gone_ends_at_the_next_look) {
  LeaseBook book = staggered(4);
  book.expire(at(30), 0.5, nobody_gone);
  EXPECT_EQ(book.size(), 4U);
  EXPECT_EQ(book.next(), at(31));
  EXPECT_TRUE(book.expire(at(30.5), 0.5, all_gone).empty());
  const auto verdicts = book.expire(at(31), 0.5, [](const std::string& one) { return one == "s2"; });
  ASSERT_EQ(verdicts.size(), 1U);
  EXPECT_EQ(verdicts[0].id, "s2");
  EXPECT_FALSE(verdicts[0].kept);
  EXPECT_EQ(book.size(), 3U);
}

TEST(LeaseBook, those_known_to_be_gone_do_not_speak_of_the_network) {
  LeaseBook book;
  for (int i = 0; i < 10; ++i) book.renew(id(i), length, i < 6 ? at(30) : at(50));
  book.expire(at(30), 0.5, all_gone);
  EXPECT_EQ(book.size(), 4U);
  book.renew(id(7), length, at(60));
  book.renew(id(8), length, at(60));
  const auto verdicts = book.expire(at(50), 0.5, nobody_gone);
  ASSERT_EQ(verdicts.size(), 2U);
  EXPECT_FALSE(verdicts[0].kept);  // two of the four that were left: no more than half
}

TEST(LeaseBook, the_rest_ends_when_enough_of_the_others_renew) {
  LeaseBook book = staggered(10);
  book.expire(at(30), 0.5, nobody_gone);
  for (int i = 0; i < 4; ++i) book.renew(id(i), length, at(100));
  EXPECT_TRUE(book.expire(at(31), 0.5, nobody_gone).empty());
  book.renew(id(4), length, at(100));
  const auto verdicts = book.expire(at(32), 0.5, nobody_gone);
  EXPECT_EQ(verdicts.size(), 5U);
  EXPECT_TRUE(std::ranges::none_of(verdicts, &LeaseBook::Verdict::kept));
  EXPECT_EQ(book.size(), 5U);
}

TEST(LeaseBook, one_that_comes_back_does_not_count_as_lost) {
  LeaseBook book;
  for (int i = 0; i < 4; ++i) book.renew(id(i), length, i < 2 ? at(20) : at(40));
  EXPECT_EQ(book.expire(at(20), 0.5, nobody_gone).size(), 2U);
  book.renew(id(0), length, at(45));
  book.renew(id(1), length, at(45));
  book.renew(id(3), length, at(45));
  const auto verdicts = book.expire(at(40), 0.5, nobody_gone);
  ASSERT_EQ(verdicts.size(), 1U);
  EXPECT_FALSE(verdicts[0].kept);
}

TEST(LeaseBook, one_that_has_left_does_not_run_out) {
  LeaseBook book = staggered(2);
  book.end(id(0));
  book.end(id(1));
  book.end("nobody");
  EXPECT_EQ(book.next(), never);
  EXPECT_TRUE(book.expire(at(100), 0.5, nobody_gone).empty());
}

TEST(LeaseBook, ten_thousand_overdue_are_looked_at_once_in_a_second) {
  LeaseBook book = staggered(10'000);
  std::size_t questions = 0;
  const LeaseBook::Gone counting = [&](const std::string&) { return ++questions, false; };
  for (int ms = 20'000; ms < 40'000; ++ms) book.expire(at(ms / 1000.0), 0.5, counting);
  EXPECT_EQ(book.size(), 5'000U);
  EXPECT_GE(questions, 5'000U);
  EXPECT_LE(questions, 5'000U * 21);
}

}  // namespace lease_book_test
}  // namespace steelyard
