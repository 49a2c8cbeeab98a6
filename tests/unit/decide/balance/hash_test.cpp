#include "decide/balance/hash.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "decide/balance/plain_view.hpp"

namespace steelyard::balance {
namespace hash_test {

using Hashed = std::vector<HashedServer>;

const std::vector<std::size_t> sizes{1, 2, 10, 100, 600, 1'000, 10'000};
const LoadBound unbounded{.active = 0, .weight = 1, .factor = 1e9};

std::uint64_t key(std::uint64_t number) { return hash_id("/articles/" + std::to_string(number)); }

// The share of slots that are another server's than before, of those that neither `lost` had nor `gained` has. What comes of a
// server's joining is the same as of its leaving, read the other way.
double moved_besides(const Hashed& before, const Hashed& after, std::optional<std::uint64_t> lost, std::optional<std::uint64_t> gained) {
  const MaglevTable table_before(before);
  const MaglevTable table_after(after);
  const std::size_t slots = table_before.owners().size();
  EXPECT_EQ(table_after.owners().size(), slots);
  std::size_t moved = 0;
  for (std::size_t slot = 0; slot < slots; ++slot) {
    const std::uint64_t from = before[table_before.owners()[slot]].id_hash;
    const std::uint64_t to = after[table_after.owners()[slot]].id_hash;
    if (from != to && from != lost && to != gained) ++moved;
  }
  return static_cast<double>(moved) / static_cast<double>(slots);
}

TEST(Hash, depends_on_no_order_of_servers) {
  Prng prng(1);
  for (const std::size_t count : sizes) {
    const Hashed servers = hashed_servers(random_weights(prng, count, 5));
    Hashed reversed = servers;
    std::ranges::reverse(reversed);
    EXPECT_EQ(moved_besides(servers, reversed, {}, {}), 0);
  }
}

// Nobody is more than a round of turns away from its share.
TEST(Hash, slots_are_shared_by_weight) {
  Prng prng(2);
  for (const std::size_t count : sizes) {
    for (const std::uint64_t weight_max : {1U, 1U << 20U}) {
      const auto weights = random_weights(prng, count, weight_max);
      const MaglevTable table(hashed_servers(weights));
      std::vector<std::uint64_t> slots(count, 0);
      for (const std::uint32_t owner : table.owners()) ++slots[owner];
      const double mean_weight = static_cast<double>(sum(weights)) / static_cast<double>(count);
      for (std::size_t i = 0; i < count; ++i) {
        const double expected = static_cast<double>(table.owners().size()) * weights[i] / static_cast<double>(sum(weights));
        ASSERT_NEAR(static_cast<double>(slots[i]), expected, 1 + weights[i] / mean_weight) << count << " servers";
      }
    }
  }
}

TEST(Hash, every_weight_gets_a_slot) {
  std::vector<std::uint32_t> weights(1'000, 1);
  weights[0] = 1U << 30U;
  const MaglevTable table(hashed_servers(weights));
  std::vector<bool> seen(weights.size(), false);
  for (const std::uint32_t owner : table.owners()) seen[owner] = true;
  EXPECT_EQ(std::ranges::count(seen, true), 1'000);
}

TEST(Hash, few_keys_move_besides_those_that_must) {
  Prng prng(3);
  for (const std::size_t count : sizes) {
    if (count == 1) continue;
    for (const std::uint64_t weight_max : {1U, 10U}) {
      const Hashed servers = hashed_servers(random_weights(prng, count, weight_max));
      const std::size_t changing = prng.below(count);
      const std::uint64_t id = servers[changing].id_hash;
      Hashed left = servers;
      left.erase(left.begin() + static_cast<std::ptrdiff_t>(changing));
      Hashed grown = servers;
      grown[changing].weight *= 2;
      EXPECT_LE(moved_besides(servers, left, id, {}), 0.015) << count << " servers";
      EXPECT_LE(moved_besides(servers, grown, {}, id), 0.015) << count << " servers";
    }
  }
}

TEST(Hash, keeps_a_key_and_its_next_choice) {
  Prng prng(4);
  for (const std::size_t count : sizes) {
    PlainServers servers = servers_of(random_weights(prng, count, 5));
    const MaglevTable table(hashed_servers(weights_of(servers)));
    for (std::uint64_t i = 0; i < 50; ++i) {
      const auto first = pick_hash(table, key(i), unbounded, PlainView{servers});
      ASSERT_TRUE(first);
      servers[*first].may_take = false;
      const auto second = pick_hash(table, key(i), unbounded, PlainView{servers});
      ASSERT_EQ(second.has_value(), count > 1);
      ASSERT_NE(second, first);
      servers[*first].may_take = true;
      // Too busy is as good as not there.
      servers[*first].active = 1000;
      const LoadBound bound{.active = 1000, .weight = sum(weights_of(servers)), .factor = 1};
      ASSERT_EQ(pick_hash(table, key(i), bound, PlainView{servers}), count > 1 ? second : first);
      servers[*first].active = 0;
      ASSERT_EQ(pick_hash(table, key(i), unbounded, PlainView{servers}), first);
    }
  }
}

TEST(Hash, keys_of_a_server_that_may_not_be_taken_are_with_all_others) {
  PlainServers servers = servers_of({2, 1, 1, 2, 4});
  const MaglevTable table(hashed_servers(weights_of(servers)));
  std::vector<unsigned> received(servers.size(), 0);
  for (std::uint64_t i = 0; i < 20'000; ++i) {
    const auto before = pick_hash(table, key(i), unbounded, PlainView{servers});
    servers[3].may_take = false;
    const auto now = pick_hash(table, key(i), unbounded, PlainView{servers});
    servers[3].may_take = true;
    if (before == 3U)
      ++received[*now];
    else
      ASSERT_EQ(now, before);
  }
  // 4000 keys by the weights 2, 1, 1, 4.
  EXPECT_NEAR(received[0], 1000, 150);
  EXPECT_NEAR(received[1], 500, 110);
  EXPECT_NEAR(received[2], 500, 110);
  EXPECT_NEAR(received[4], 2000, 200);
}

TEST(Hash, a_server_is_full_at_the_bound_rounded_up) {
  // 1.25 · 1/4 of the 8 that will be under way: 2.5, so the third is still within it and the fourth is not.
  PlainServers servers(4);
  const LoadBound bound{.active = 7, .weight = 4, .factor = 1.25};
  servers[0].active = 2;
  EXPECT_TRUE(within(bound, PlainView{servers}, 0));
  servers[0].active = 3;
  EXPECT_FALSE(within(bound, PlainView{servers}, 0));
  // Where the bound is a whole number, it is not more.
  const LoadBound whole{.active = 7, .weight = 4, .factor = 1.5};
  EXPECT_FALSE(within(whole, PlainView{servers}, 0));
  servers[0].weight = 2;
  EXPECT_TRUE(within(whole, PlainView{servers}, 0));
}

// A few keys make most of the requests; exchanges end by chance.
TEST(Hash, no_server_ever_exceeds_the_bound) {
  Prng prng(5);
  for (const std::size_t count : sizes) {
    for (const double factor : {1.0, 1.25, 2.0}) {
      PlainServers servers = servers_of(random_weights(prng, count, 4));
      const std::uint64_t weight = sum(weights_of(servers));
      const MaglevTable table(hashed_servers(weights_of(servers)));
      Exchanges exchanges(servers, count);
      for (std::size_t i = 0; i < std::min<std::size_t>(20 * count, 10'000) + 1'000; ++i) {
        if (exchanges.count() > 8 * count) exchanges.end_one();
        const double skewed = std::pow(1e6, static_cast<double>(prng.below(1'000'000)) / 1e6);  // Zipf's law
        const auto picked =
            pick_hash(table, key(static_cast<std::uint64_t>(skewed)), {exchanges.count(), weight, factor}, PlainView{servers});
        ASSERT_TRUE(picked);
        exchanges.begin(*picked);
        const double share = static_cast<double>(exchanges.count()) * servers[*picked].weight / static_cast<double>(weight);
        ASSERT_LE(servers[*picked].active, std::ceil(factor * share)) << count << " servers, factor " << factor;
      }
    }
  }
}

TEST(Hash, one_hot_key_fills_servers_in_its_own_order) {
  PlainServers servers(100);
  const MaglevTable table(hashed_servers(weights_of(servers)));
  Exchanges exchanges(servers, 1);
  std::vector<std::size_t> order;
  for (int i = 0; i < 1'000; ++i) {
    const auto picked = pick_hash(table, key(7), {exchanges.count(), 100, 1.25}, PlainView{servers});
    if (std::ranges::find(order, *picked) == order.end()) order.push_back(*picked);
    exchanges.begin(*picked);
  }
  // 80 servers hold 1.25 times the mean each; only the rounding up makes room for fewer, or the beginning for more.
  EXPECT_GE(order.size(), 77U);
  EXPECT_EQ(order.front(), pick_hash(table, key(7), unbounded, PlainView{servers}));
}

TEST(Hash, takes_the_first_choice_where_all_are_above_the_bound) {
  PlainServers servers(700, {.active = 50});
  const MaglevTable table(hashed_servers(weights_of(servers)));
  const LoadBound wrong{.active = 3, .weight = 700, .factor = 1};
  for (std::uint64_t i = 0; i < 50; ++i) {
    EXPECT_EQ(pick_hash(table, key(i), wrong, PlainView{servers}), pick_hash(table, key(i), unbounded, PlainView{servers}));
  }
}

TEST(Hash, finds_the_only_one_within_the_bound) {
  PlainServers servers(10'000, {.active = 5});
  const MaglevTable table(hashed_servers(weights_of(servers)));
  servers[4'321].active = 4;
  for (std::uint64_t i = 0; i < 20; ++i) {
    EXPECT_EQ(pick_hash(table, key(i), {49'999, 10'000, 1}, PlainView{servers}), 4'321U);
  }
}

TEST(Hash, ends_when_nobody_is_left) {
  const PlainServers none;
  EXPECT_EQ(pick_hash(MaglevTable(), key(1), unbounded, PlainView{none}), std::nullopt);
  EXPECT_TRUE(MaglevTable(Hashed{}).owners().empty());
  const PlainServers weightless = servers_of({0, 0});
  EXPECT_EQ(pick_hash(MaglevTable(hashed_servers({0, 0})), key(1), unbounded, PlainView{weightless}), std::nullopt);
  PlainServers servers = servers_of({1, 0});
  const MaglevTable table(hashed_servers({1, 0}));
  EXPECT_EQ(pick_hash(table, key(1), {}, PlainView{servers}), 0U);
  servers[0].may_take = false;
  EXPECT_EQ(pick_hash(table, key(1), {}, PlainView{servers}), std::nullopt);
}

// A change here sends every key of every running service to another server.
TEST(Hash, is_the_same_in_every_version) {
  const PlainServers servers = servers_of({1, 2, 3, 4, 5});
  const MaglevTable table(hashed_servers(weights_of(servers)));
  std::string picks;
  for (std::uint64_t i = 0; i < 24; ++i) picks += std::to_string(*pick_hash(table, key(i), unbounded, PlainView{servers}));
  EXPECT_EQ(picks, "022344441344224342133304");
}

}  // namespace hash_test
}  // namespace steelyard::balance
