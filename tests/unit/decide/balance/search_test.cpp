#include "decide/balance/search.hpp"

#include <gtest/gtest.h>

#include "decide/balance/plain_view.hpp"

namespace steelyard::balance {
namespace search_test {

// Counts how often it was asked.
struct CountingView : PlainView {
  explicit CountingView(const PlainServers& given) : PlainView{given} {}
  [[nodiscard]] bool may_take(std::size_t position) const {
    ++asked;
    return PlainView::may_take(position);
  }
  mutable std::size_t asked = 0;
};

TEST(Search, positions_go_round_from_any_start) {
  PlainServers servers(5);
  EXPECT_EQ(search_positions(PlainView{servers}, 3), 3U);
  EXPECT_EQ(search_positions(PlainView{servers}, UINT64_MAX), UINT64_MAX % 5);
  servers[3].may_take = servers[4].may_take = false;
  servers[0].weight = 0;
  EXPECT_EQ(search_positions(PlainView{servers}, 3), 1U);
}

TEST(Search, ends_when_nobody_may_be_taken) {
  const PlainServers nobody;
  EXPECT_EQ(search_positions(PlainView{nobody}, 7), std::nullopt);
  EXPECT_EQ(search_turns(smooth_schedule({}), 7, PlainView{nobody}), std::nullopt);
  const PlainServers servers{{.weight = 0}, {.may_take = false}};
  EXPECT_EQ(search_positions(PlainView{servers}, 0), std::nullopt);
  EXPECT_EQ(search_turns(smooth_schedule(weights_of(servers)), 0, PlainView{servers}), std::nullopt);
}

TEST(Search, looks_at_as_many_turns_as_it_is_told) {
  const Schedule schedule = smooth_schedule(std::vector<std::uint32_t>{1, 1, 1});
  const auto last = [](std::size_t server) { return server == 2; };
  EXPECT_EQ(search_turns(schedule, 0, 2, last), std::nullopt);
  EXPECT_EQ(search_turns(schedule, 0, 3, last), 2U);
  EXPECT_EQ(search_turns(schedule, 1, 2, last), 2U);
}

TEST(Search, does_not_go_through_a_long_schedule_for_nobody) {
  PlainServers servers = servers_of({65'535, 1});
  const Schedule schedule = smooth_schedule(weights_of(servers));
  servers[0].may_take = servers[1].may_take = false;
  const CountingView view(servers);
  EXPECT_EQ(search_turns(schedule, 5, view), std::nullopt);
  EXPECT_LE(view.asked, 2 * servers.size());
}

TEST(Search, finds_the_one_turn_of_a_long_schedule_from_anywhere) {
  PlainServers servers = servers_of({65'535, 1});
  const Schedule schedule = smooth_schedule(weights_of(servers));
  servers[0].may_take = false;
  for (std::uint64_t start = 0; start < schedule.turns.size(); start += 4096) {
    EXPECT_EQ(search_turns(schedule, start, PlainView{servers}), 1U);
  }
}

}  // namespace search_test
}  // namespace steelyard::balance
