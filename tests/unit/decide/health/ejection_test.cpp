#include "decide/health/ejection.hpp"

#include <gtest/gtest.h>

#include "base/prng.hpp"

namespace steelyard {
namespace ejection_test {

using Kind = EjectionReason::Kind;

TEST(TryResult, statuses_from_500_on_are_failures) {
  EXPECT_EQ(answered(200).verdict, TryVerdict::good);
  EXPECT_EQ(answered(404).verdict, TryVerdict::good);
  EXPECT_EQ(answered(499).verdict, TryVerdict::good);
  EXPECT_EQ(answered(500).verdict, TryVerdict::error_status);
  EXPECT_EQ(answered(503).verdict, TryVerdict::error_status);
}

TEST(TryResult, counts_only_what_the_server_did) {
  EXPECT_TRUE(is_servers_fault({ErrorKind::refused, Side::server}));
  EXPECT_TRUE(is_servers_fault({ErrorKind::timed_out, Side::server}));
  EXPECT_TRUE(is_servers_fault({ErrorKind::malformed, Side::server}));
  EXPECT_FALSE(is_servers_fault({ErrorKind::closed, Side::client}));
  EXPECT_FALSE(is_servers_fault({ErrorKind::cancelled, Side::local}));
  EXPECT_FALSE(is_servers_fault({ErrorKind::cancelled, Side::server}));
  EXPECT_FALSE(is_servers_fault({ErrorKind::resources, Side::server})) << "this process has run out of descriptors";
  EXPECT_FALSE(is_servers_fault({ErrorKind::no_server, Side::local}));
}

TEST(EjectionReason, is_told_in_words) {
  EXPECT_EQ(in_words(EjectionReason{.kind = Kind::failures_in_row, .count = 7, .last = answered(500)}),
            "7 failures in a row, last: answered 500");
  EXPECT_EQ(in_words(EjectionReason{.kind = Kind::failures_in_row, .count = 1, .last = answered(503)}),
            "1 failure in a row, last: answered 503");
  EXPECT_EQ(in_words(EjectionReason{.kind = Kind::breaks_in_row, .count = 3, .last = broken(ErrorKind::refused)}),
            "3 broken tries in a row, last: connection refused");
  EXPECT_EQ(in_words(EjectionReason{.kind = Kind::probation, .count = 1, .last = broken(ErrorKind::timed_out)}),
            "failed again after an ejection: no answer in time");
  EXPECT_EQ(in_words(EjectionReason{.kind = Kind::error_ratio, .count = 120, .own = 0.4, .others = 0.02}),
            "40 % of 120 answers failed, 2 % in the rest of the pool");
  EXPECT_EQ(in_words(EjectionReason{.kind = Kind::latency, .count = 50, .own = 240'000, .others = 11'960}),
            "answers took 240.0 ms, the median of the pool is 12.0 ms");
}

TEST(EjectionTime, doubles_up_to_its_limit) {
  const OutlierOptions options{.ejection = 5s, .ejection_max = 60s};
  const Duration expected[] = {5s, 10s, 20s, 40s, 60s, 60s};
  for (std::uint32_t earlier = 0; earlier < 6; ++earlier) EXPECT_EQ(ejection_time(options, earlier), expected[earlier]);
  EXPECT_EQ(ejection_time(options, UINT32_MAX), Duration(60s));
}

TEST(EjectionTime, reaches_a_limit_that_is_a_power_of_two_times_the_first_exactly) {
  const OutlierOptions options{.ejection = 3ns, .ejection_max = 12ns};
  EXPECT_EQ(ejection_time(options, 1), Duration(6ns));
  EXPECT_EQ(ejection_time(options, 2), Duration(12ns));
  EXPECT_EQ(ejection_time(options, 3), Duration(12ns));
}

TEST(EjectionTime, is_never_above_the_limit_and_does_not_overflow) {
  EXPECT_EQ(ejection_time({.ejection = 10s, .ejection_max = 5s}, 0), Duration(5s));
  EXPECT_EQ(ejection_time({.ejection = 1h, .ejection_max = Duration::max()}, 62), Duration::max());
  Prng prng(3);
  for (int i = 0; i < 10'000; ++i) {
    const OutlierOptions options{.ejection = Duration(prng.below(1ULL << prng.below(63)) + 1),
                                 .ejection_max = Duration(prng.below(1ULL << prng.below(63)) + 1)};
    Duration before{0};
    for (std::uint32_t earlier = 0; earlier < 70; ++earlier) {
      const Duration time = ejection_time(options, earlier);
      EXPECT_GE(time, before);
      EXPECT_LE(time, options.ejection_max);
      before = time;
    }
    EXPECT_EQ(before, options.ejection_max);
  }
}

TEST(EjectionsRemembered, one_is_forgotten_after_as_long_as_it_lasted) {
  const OutlierOptions options{.ejection = 5s, .ejection_max = 5min};
  EXPECT_EQ(ejections_remembered(options, 3, 19999ms), 3U);  // the third lasted 20 s
  EXPECT_EQ(ejections_remembered(options, 3, 20s), 2U);
  EXPECT_EQ(ejections_remembered(options, 3, 29999ms), 2U);
  EXPECT_EQ(ejections_remembered(options, 3, 30s), 1U);
  EXPECT_EQ(ejections_remembered(options, 3, 35s), 0U);
  EXPECT_EQ(ejections_remembered(options, 3, 24h), 0U);
  EXPECT_EQ(ejections_remembered(options, 0, 0s), 0U);
}

TEST(MayEject, keeps_to_the_share_rounded_down_but_allows_one_of_several) {
  const OutlierOptions half{.ejected_share_max = 0.5};
  EXPECT_FALSE(may_eject(half, 0, 0));
  EXPECT_FALSE(may_eject(half, 0, 1));
  EXPECT_TRUE(may_eject(half, 0, 2));
  EXPECT_FALSE(may_eject(half, 1, 2));
  EXPECT_TRUE(may_eject(half, 0, 3));
  EXPECT_FALSE(may_eject(half, 1, 3));
  EXPECT_TRUE(may_eject(half, 1, 4));
  EXPECT_FALSE(may_eject(half, 2, 4));
  const OutlierOptions tenth{.ejected_share_max = 0.1};
  EXPECT_TRUE(may_eject(tenth, 0, 3));
  EXPECT_FALSE(may_eject(tenth, 1, 3));
  EXPECT_FALSE(may_eject(tenth, 1, 19));
  EXPECT_TRUE(may_eject(tenth, 1, 20));
}

TEST(MayEject, shares_at_their_ends) {
  EXPECT_FALSE(may_eject({.ejected_share_max = 0}, 0, 100));
  EXPECT_TRUE(may_eject({.ejected_share_max = 1}, 1, 2));
  EXPECT_FALSE(may_eject({.ejected_share_max = 1}, 2, 2));
  EXPECT_FALSE(may_eject({.ejected_share_max = 1}, 0, 1)) << "the only server";
}

TEST(MayEject, every_share_in_hundredths_is_exact) {
  for (std::size_t hundredths = 1; hundredths <= 100; ++hundredths) {
    const OutlierOptions options{.ejected_share_max = static_cast<double>(hundredths) / 100};
    EXPECT_TRUE(may_eject(options, hundredths - 1, 100)) << hundredths;
    EXPECT_FALSE(may_eject(options, hundredths, 100)) << hundredths;
  }
}

}  // namespace ejection_test
}  // namespace steelyard
