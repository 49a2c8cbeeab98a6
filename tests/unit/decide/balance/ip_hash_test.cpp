#include "decide/balance/ip_hash.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "net/address.hpp"

namespace steelyard::balance {
namespace {

constexpr std::uint32_t clients = 20'000;

std::vector<Candidate> servers(const std::vector<std::uint32_t>& weights) {
  std::vector<Candidate> candidates;
  for (const std::uint32_t weight : weights) {
    candidates.push_back({.weight = weight, .id_hash = hash_id("10.0.0." + std::to_string(candidates.size() + 1) + ":80")});
  }
  return candidates;
}

std::uint64_t client(std::uint32_t number) { return IpAddress::v4(0x0a010000 + number).hash(); }

TEST(IpHash, keeps_a_client_whatever_the_order_of_servers) {
  auto candidates = servers({1, 2, 3, 4});
  auto reversed = candidates;
  std::ranges::reverse(reversed);
  for (std::uint32_t i = 0; i < 1000; ++i) {
    EXPECT_EQ(candidates[*pick_ip_hash(candidates, client(i), {})].id_hash, reversed[*pick_ip_hash(reversed, client(i), {})].id_hash);
  }
}

TEST(IpHash, spreads_clients_by_weight) {
  const auto candidates = servers({1, 1, 3, 5});
  std::vector<double> counts(candidates.size(), 0);
  for (std::uint32_t i = 0; i < clients; ++i) counts[*pick_ip_hash(candidates, client(i), {})] += 1;
  for (std::size_t i = 0; i < counts.size(); ++i) EXPECT_NEAR(counts[i] / clients, candidates[i].weight / 10.0, 0.012);
}

TEST(IpHash, when_a_server_leaves_only_its_clients_move_and_to_all_others) {
  const auto candidates = servers({2, 1, 1, 2, 4});
  auto left = candidates;
  left.erase(left.begin() + 3);
  std::vector<unsigned> received(left.size(), 0);
  for (std::uint32_t i = 0; i < clients; ++i) {
    const auto before = *pick_ip_hash(candidates, client(i), {});
    const auto after = *pick_ip_hash(left, client(i), {});
    if (before == 3) {
      ++received[after];
    } else {
      ASSERT_EQ(candidates[before].id_hash, left[after].id_hash);
    }
  }
  // 4000 clients by the weights 2, 1, 1, 4.
  EXPECT_NEAR(received[0], 1000, 150);
  EXPECT_NEAR(received[1], 500, 110);
  EXPECT_NEAR(received[2], 500, 110);
  EXPECT_NEAR(received[3], 2000, 200);
}

TEST(IpHash, when_a_weight_grows_clients_move_only_to_that_server) {
  const auto candidates = servers({2, 2, 2});
  const auto grown = servers({2, 3, 2});
  unsigned moved = 0;
  for (std::uint32_t i = 0; i < clients; ++i) {
    const auto before = *pick_ip_hash(candidates, client(i), {});
    const auto after = *pick_ip_hash(grown, client(i), {});
    if (before == after) continue;
    ++moved;
    ASSERT_EQ(after, 1U);
  }
  EXPECT_NEAR(moved, clients * (3.0 / 7 - 1.0 / 3), 250);
}

TEST(IpHash, tried_server_is_as_if_it_had_left) {
  const auto candidates = servers({1, 1, 1});
  for (std::uint32_t i = 0; i < 1000; ++i) {
    const auto first = static_cast<std::uint32_t>(*pick_ip_hash(candidates, client(i), {}));
    auto left = candidates;
    left.erase(left.begin() + first);
    const std::vector<std::uint32_t> tried{first};
    EXPECT_EQ(candidates[*pick_ip_hash(candidates, client(i), tried)].id_hash, left[*pick_ip_hash(left, client(i), {})].id_hash);
  }
}

TEST(IpHash, ends_when_nobody_is_left) {
  const auto candidates = servers({1, 0});
  const std::vector<std::uint32_t> tried{0};
  EXPECT_EQ(pick_ip_hash(candidates, client(1), tried), std::nullopt);
  EXPECT_EQ(pick_ip_hash({}, client(1), {}), std::nullopt);
}

// A change here sends every client of every running service to another server.
TEST(IpHash, is_the_same_in_every_version) {
  const auto candidates = servers({1, 2, 3, 4, 5});
  std::string picks;
  for (std::uint32_t i = 0; i < 16; ++i) picks += std::to_string(*pick_ip_hash(candidates, client(i), {}));
  EXPECT_EQ(picks, "1404413422410424");
}

}  // namespace
}  // namespace steelyard::balance
