#include "decide/balance/ip_hash.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "decide/balance/plain_view.hpp"
#include "net/address.hpp"

namespace steelyard::balance {
namespace ip_hash_test {

using Hashed = std::vector<HashedServer>;

const std::vector<std::size_t> sizes{1, 2, 10, 1'000, 10'000};

std::uint64_t client(std::uint32_t number) { return IpAddress::v4(0x0a010000 + number).hash(); }

std::vector<std::uint64_t> slots_by_server(const RendezvousTable& table, std::size_t servers) {
  std::vector<std::uint64_t> slots(servers, 0);
  for (const std::uint32_t owner : table.owners()) ++slots[owner];
  return slots;
}

// A table beside the servers that it was made for.
struct Made {
  explicit Made(Hashed given) : servers(std::move(given)), table(servers) {}
  [[nodiscard]] std::uint64_t owner(std::size_t slot) const { return servers[table.owners()[slot]].id_hash; }

  Hashed servers;
  RendezvousTable table;
};

// Of the slots that are another server's than before, those that neither `lost` had nor `gained` has; both are ids' hashes. What
// comes of a server's joining is the same as of its leaving, read the other way.
std::size_t moved_besides(const Made& before, const Made& after, std::optional<std::uint64_t> lost, std::optional<std::uint64_t> gained) {
  std::size_t moved = 0;
  for (std::size_t slot = 0; slot < RendezvousTable::slots; ++slot) {
    const std::uint64_t from = before.owner(slot);
    const std::uint64_t to = after.owner(slot);
    if (from != to && from != lost && to != gained) ++moved;
  }
  return moved;
}

TEST(IpHash, whatever_changes_about_a_server_only_its_clients_move) {
  Prng prng(2);
  for (const std::size_t count : sizes) {
    const Made made(hashed_servers(random_weights(prng, count, 5)));
    const std::size_t changing = prng.below(count);
    const std::uint64_t id = made.servers[changing].id_hash;
    const auto changed = [&](auto change) {
      Hashed servers = made.servers;
      change(servers);
      return Made(std::move(servers));
    };

    const Made reversed = changed([](Hashed& servers) { std::ranges::reverse(servers); });
    EXPECT_EQ(moved_besides(made, reversed, {}, {}), 0U) << count << " servers";
    const Made grown = changed([&](Hashed& servers) { servers[changing].weight *= 3; });
    EXPECT_EQ(moved_besides(made, grown, {}, id), 0U) << count << " servers";
    if (count == 1) continue;
    EXPECT_GT(slots_by_server(grown.table, count)[changing], slots_by_server(made.table, count)[changing]);
    const Made left = changed([&](Hashed& servers) { servers.erase(servers.begin() + static_cast<std::ptrdiff_t>(changing)); });
    EXPECT_EQ(moved_besides(made, left, id, {}), 0U) << count << " servers";
    const Made without_weight = changed([&](Hashed& servers) { servers[changing].weight = 0; });
    EXPECT_EQ(moved_besides(made, without_weight, id, {}), 0U) << count << " servers";
    EXPECT_EQ(slots_by_server(without_weight.table, count)[changing], 0U);
  }
}

// As if each slot were given away by chance: by the square root of what is expected.
TEST(IpHash, slots_are_shared_by_weight) {
  Prng prng(4);
  for (const std::size_t count : sizes) {
    for (const std::uint64_t weight_max : {1U, 1U << 20U}) {
      const auto weights = random_weights(prng, count, weight_max);
      const auto slots = slots_by_server(RendezvousTable(hashed_servers(weights)), count);
      for (std::size_t i = 0; i < count; ++i) {
        const double expected = static_cast<double>(RendezvousTable::slots) * weights[i] / static_cast<double>(sum(weights));
        ASSERT_NEAR(static_cast<double>(slots[i]), expected, 5 * std::sqrt(expected) + 5) << count << " servers";
      }
    }
  }
}

TEST(IpHash, clients_are_shared_by_weight) {
  constexpr std::uint32_t clients = 40'000;
  const PlainServers servers = servers_of({1, 1, 3, 5});
  const RendezvousTable table(hashed_servers(weights_of(servers)));
  std::vector<double> counts(servers.size(), 0);
  for (std::uint32_t i = 0; i < clients; ++i) counts[*pick_ip_hash(table, client(i), PlainView{servers})] += 1;
  for (std::size_t i = 0; i < counts.size(); ++i) EXPECT_NEAR(counts[i] / clients, servers[i].weight / 10.0, 0.01);
}

TEST(IpHash, while_a_server_may_not_be_taken_its_clients_are_with_all_others) {
  constexpr std::uint32_t clients = 20'000;
  PlainServers servers = servers_of({2, 1, 1, 2, 4});
  const RendezvousTable table(hashed_servers(weights_of(servers)));
  std::vector<std::size_t> before;
  for (std::uint32_t i = 0; i < clients; ++i) before.push_back(*pick_ip_hash(table, client(i), PlainView{servers}));
  servers[3].may_take = false;
  std::vector<unsigned> received(servers.size(), 0);
  for (std::uint32_t i = 0; i < clients; ++i) {
    const std::size_t now = *pick_ip_hash(table, client(i), PlainView{servers});
    if (before[i] == 3)
      ++received[now];
    else
      ASSERT_EQ(now, before[i]);
  }
  // 4000 clients by the weights 2, 1, 1, 4.
  EXPECT_EQ(received[3], 0U);
  EXPECT_NEAR(received[0], 1000, 150);
  EXPECT_NEAR(received[1], 500, 110);
  EXPECT_NEAR(received[2], 500, 110);
  EXPECT_NEAR(received[4], 2000, 200);
  servers[3].may_take = true;
  for (std::uint32_t i = 0; i < clients; ++i) ASSERT_EQ(pick_ip_hash(table, client(i), PlainView{servers}), before[i]);
}

TEST(IpHash, finds_the_only_one) {
  PlainServers servers(10'000);
  const RendezvousTable table(hashed_servers(weights_of(servers)));
  for (auto& server : servers) server.may_take = false;
  EXPECT_EQ(pick_ip_hash(table, client(1), PlainView{servers}), std::nullopt);
  servers[4'321].may_take = true;
  for (std::uint32_t i = 0; i < 20; ++i) EXPECT_EQ(pick_ip_hash(table, client(i), PlainView{servers}), 4'321U);
}

TEST(IpHash, ends_when_nobody_is_left) {
  const PlainServers none;
  EXPECT_EQ(pick_ip_hash(RendezvousTable(), client(1), PlainView{none}), std::nullopt);
  EXPECT_TRUE(RendezvousTable(Hashed{}).owners().empty());
  const PlainServers weightless = servers_of({0, 0});
  EXPECT_EQ(pick_ip_hash(RendezvousTable(hashed_servers({0, 0})), client(1), PlainView{weightless}), std::nullopt);
  PlainServers servers = servers_of({1, 0});
  const RendezvousTable table(hashed_servers({1, 0}));
  EXPECT_EQ(pick_ip_hash(table, client(1), PlainView{servers}), 0U);
  servers[0].may_take = false;
  EXPECT_EQ(pick_ip_hash(table, client(1), PlainView{servers}), std::nullopt);
}

// A change here sends every client of every running service to another server.
TEST(IpHash, is_the_same_in_every_version) {
  const PlainServers servers = servers_of({1, 2, 3, 4, 5});
  const RendezvousTable table(hashed_servers(weights_of(servers)));
  std::string picks;
  for (std::uint32_t i = 0; i < 24; ++i) picks += std::to_string(*pick_ip_hash(table, client(i), PlainView{servers}));
  EXPECT_EQ(picks, "441242421133312333444023");
}

}  // namespace ip_hash_test
}  // namespace steelyard::balance
