#include "decide/health/outlier.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/prng.hpp"

namespace steelyard {
namespace outlier_test {

using Kind = EjectionReason::Kind;
using Figures = std::vector<IntervalFigures>;

const OutlierOptions options{.error_ratio_distance = 0.3, .requests_min = 20};

std::vector<std::size_t> positions(const std::vector<Outlier>& outliers) {
  std::vector<std::size_t> found;
  for (const Outlier& outlier : outliers) found.push_back(outlier.position);
  return found;
}
std::vector<std::size_t> find(const OutlierOptions& with, const Figures& figures) { return positions(find_outliers(with, figures)); }
using Positions = std::vector<std::size_t>;

TEST(Outliers, one_that_fails_far_more_than_the_rest_is_found_with_its_figures) {
  const auto found = find_outliers(options, Figures{{100, 2}, {120, 48}, {100, 2}});
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].position, 1U);
  EXPECT_EQ(found[0].reason.kind, Kind::error_ratio);
  EXPECT_EQ(in_words(found[0].reason), "40 % of 120 answers failed, 2 % in the rest of the pool");
}

TEST(Outliers, the_distance_itself_is_far_enough_and_less_is_not) {
  EXPECT_EQ(find(options, {{100, 40}, {100, 10}}), Positions{0});
  EXPECT_EQ(find(options, {{100, 39}, {100, 10}}), Positions{});
  EXPECT_EQ(find(options, {{100, 70}, {100, 40}}), Positions{0});
  EXPECT_EQ(find(options, {{1000, 699}, {1000, 400}}), Positions{});
}

TEST(Outliers, the_rest_is_all_others_together_weighed_by_their_answers) {
  EXPECT_EQ(find(options, {{100, 50}, {900, 0}, {100, 100}}), (Positions{2, 0}));  // the rest of 0: 10 %
  EXPECT_EQ(find(options, {{100, 50}, {100, 0}, {100, 100}}), Positions{2});       // the rest of 0: 50 %
}

TEST(Outliers, when_all_fail_alike_nobody_is_one) {
  EXPECT_EQ(find(options, {{100, 100}, {100, 100}, {100, 100}}), Positions{});
  EXPECT_EQ(find(options, {{100, 60}, {100, 60}}), Positions{});
}

TEST(Outliers, few_answers_say_nothing_of_a_server_nor_of_the_rest) {
  EXPECT_EQ(find(options, {{19, 19}, {1000, 0}}), Positions{});
  EXPECT_EQ(find(options, {{20, 20}, {1000, 0}}), Positions{0});
  EXPECT_EQ(find(options, {{1000, 1000}, {19, 0}}), Positions{});
  EXPECT_EQ(find(options, {{1000, 1000}, {10, 0}, {10, 0}}), Positions{0});
}

TEST(Outliers, nobody_is_one_alone_or_where_nothing_happened) {
  EXPECT_EQ(find(options, {}), Positions{});
  EXPECT_EQ(find(options, {{100, 100}}), Positions{});
  EXPECT_EQ(find(options, {{100, 100}, {0, 0}}), Positions{});
  EXPECT_EQ(find(options, {{0, 0}, {0, 0}}), Positions{});
  EXPECT_EQ(find({.error_ratio_distance = 0, .requests_min = 0, .latency_factor = 1}, {{0, 0}, {0, 0}}), Positions{});
}

TEST(Outliers, distance_0_needs_to_be_worse_than_the_rest) {
  EXPECT_EQ(find({.error_ratio_distance = 0, .requests_min = 20}, {{100, 0}, {100, 0}, {100, 1}}), Positions{2});
  EXPECT_EQ(find({.error_ratio_distance = 0, .requests_min = 20}, {{100, 5}, {100, 5}}), Positions{});
}

TEST(Outliers, the_worst_comes_first) {
  EXPECT_EQ(find(options, {{100, 50}, {100, 100}, {100, 70}, {1000, 0}, {100, 60}}), (Positions{1, 2, 4, 0}));
}

TEST(Outliers, equally_bad_ones_keep_their_order) { EXPECT_EQ(find(options, {{100, 60}, {900, 0}, {100, 60}}), (Positions{0, 2})); }

const OutlierOptions with_latency{.error_ratio_distance = 0.3, .requests_min = 20, .latency_factor = 3.0};

TEST(Outliers, latency_ejects_nobody_unless_asked_for) {
  EXPECT_EQ(find(options, {{100, 0, 10'000}, {100, 0, 10'000}, {100, 0, 900'000}}), Positions{});
}

TEST(Outliers, one_much_slower_than_the_median_is_found) {
  const auto found = find_outliers(with_latency, Figures{{100, 0, 10'000}, {100, 0, 12'000}, {100, 0, 36'000}});
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].position, 2U);
  EXPECT_EQ(in_words(found[0].reason), "answers took 36.0 ms, the median of the pool is 12.0 ms");
  EXPECT_EQ(find(with_latency, {{100, 0, 10'000}, {100, 0, 12'000}, {100, 0, 35'999}}), Positions{});
}

TEST(Outliers, of_two_the_faster_is_the_median) { EXPECT_EQ(find(with_latency, {{100, 0, 40'000}, {100, 0, 10'000}}), Positions{0}); }

TEST(Outliers, a_difference_below_a_millisecond_makes_nobody_slow) {
  EXPECT_EQ(find(with_latency, {{100, 0, 100}, {100, 0, 100}, {100, 0, 1099}}), Positions{});
  EXPECT_EQ(find(with_latency, {{100, 0, 100}, {100, 0, 100}, {100, 0, 1100}}), Positions{2});
}

TEST(Outliers, who_has_few_answers_or_an_unknown_latency_counts_for_no_median) {
  EXPECT_EQ(find(with_latency, {{100, 0, 10'000}, {100, 0, 90'000}, {19, 0, 90'000}, {19, 0, 90'000}}), Positions{1});
  EXPECT_EQ(find(with_latency, {{100, 0, 10'000}, {100, 0, 90'000}, {100, 0, 0}, {100, 0, 0}}), Positions{1});
  EXPECT_EQ(find(with_latency, {{100, 0, 10'000}, {19, 0, 90'000}}), Positions{});
}

TEST(Outliers, failures_are_worse_than_latency_and_are_told_first) {
  const auto found = find_outliers(with_latency, Figures{{100, 0, 900'000}, {100, 90, 900'000}, {100, 0, 10'000}, {100, 0, 10'000}});
  EXPECT_EQ(positions(found), (Positions{1, 0}));
  EXPECT_EQ(found[0].reason.kind, Kind::error_ratio);
  EXPECT_EQ(found[1].reason.kind, Kind::latency);
}

Figures draw_figures(Prng& prng) {
  Figures figures(1 + prng.below(12));
  for (IntervalFigures& server : figures) {
    server.requests = prng.below(200);
    server.failures = server.requests == 0 ? 0 : prng.below(prng.chance(0.3) ? server.requests + 1 : 1 + server.requests / 10);
    server.latency_us = prng.below(100'000);
  }
  return figures;
}

TEST(Outliers, hold_what_is_promised_for_random_figures) {
  Prng prng(5);
  std::size_t found_at_all = 0;
  for (int round = 0; round < 20'000; ++round) {
    const Figures figures = draw_figures(prng);
    const auto found = find_outliers(with_latency, figures);
    found_at_all += found.size();
    double worst = 2;
    for (const Outlier& outlier : found) {
      ASSERT_LT(outlier.position, figures.size());
      EXPECT_GE(figures[outlier.position].requests, with_latency.requests_min);
      EXPECT_GT(outlier.reason.own, outlier.reason.others);
      if (outlier.reason.kind != Kind::error_ratio) continue;
      EXPECT_LE(outlier.reason.own - outlier.reason.others, worst);
      worst = outlier.reason.own - outlier.reason.others;
    }
    // Each at most once, and never all of them for one reason: who is above the rest leaves somebody below it.
    auto sorted = positions(found);
    std::ranges::sort(sorted);
    EXPECT_TRUE(std::ranges::adjacent_find(sorted) == sorted.end());
    for (const Kind kind : {Kind::error_ratio, Kind::latency}) {
      EXPECT_LT(std::ranges::count(found, kind, [](const Outlier& outlier) { return outlier.reason.kind; }), std::ssize(figures));
    }
  }
  EXPECT_GT(found_at_all, 1000U);
}

TEST(Outliers, do_not_depend_on_the_order_of_servers) {
  Prng prng(6);
  for (int round = 0; round < 2000; ++round) {
    Figures figures = draw_figures(prng);
    const auto before = find(with_latency, figures);
    std::ranges::reverse(figures);
    auto after = find(with_latency, figures);
    for (std::size_t& position : after) position = figures.size() - 1 - position;
    EXPECT_TRUE(std::ranges::is_permutation(before, after));
  }
}

}  // namespace outlier_test
}  // namespace steelyard
