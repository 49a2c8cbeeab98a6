#include "decide/balance/hash.hpp"

#include <algorithm>
#include <bit>
#include <tuple>

namespace steelyard::balance {
namespace {

// A server on its way through all slots, in an order of its own.
struct Claimant {
  std::uint64_t id_hash;
  std::uint32_t weight;
  std::uint32_t position;
  std::uint32_t next;  // slot
  std::uint32_t step;  // the number of slots is prime, so that any step visits all
  std::int64_t credit = 0;
};

std::vector<Claimant> claimants(std::span<const HashedServer> servers, std::size_t slots) {
  std::vector<Claimant> result;
  for (std::uint32_t i = 0; i < servers.size(); ++i) {
    if (servers[i].weight == 0) continue;
    Prng prng(servers[i].id_hash);
    const auto next = static_cast<std::uint32_t>(prng.below(slots));
    const auto step = static_cast<std::uint32_t>(1 + prng.below(slots - 1));
    result.push_back({servers[i].id_hash, servers[i].weight, i, next, step});
  }
  std::ranges::sort(result, {}, [](const Claimant& claimant) { return std::tuple(claimant.id_hash, claimant.weight); });
  return result;
}

// What a turn costs: about the mean weight, so that there are about as many turns in a round as servers. A power of two, so that
// the order of turns stays when a server leaves or joins.
std::int64_t price_of_turn(std::span<const Claimant> claimants) {
  std::uint64_t sum = 0;
  for (const Claimant& claimant : claimants) sum += claimant.weight;
  return static_cast<std::int64_t>(std::bit_ceil((sum + claimants.size() - 1) / claimants.size()));
}

}  // namespace

MaglevTable::MaglevTable(std::span<const HashedServer> servers) {
  const auto with_weight = static_cast<std::size_t>(std::ranges::count_if(servers, [](auto& server) { return server.weight != 0; }));
  if (with_weight == 0) return;
  const std::size_t slots = with_weight <= servers_small_max ? slots_small : slots_large;
  std::vector<Claimant> claiming = claimants(servers, slots);
  const std::int64_t price = price_of_turn(claiming);

  owners_.resize(slots);
  std::vector<bool> taken(slots, false);
  std::size_t free = slots;
  const auto claim = [&](Claimant& claimant) {
    std::uint32_t slot = claimant.next;
    const auto advance = [&] {
      slot += claimant.step;
      if (slot >= slots) slot -= static_cast<std::uint32_t>(slots);
    };
    while (taken[slot]) advance();
    taken[slot] = true;
    owners_[slot] = claimant.position;
    --free;
    advance();
    claimant.next = slot;
  };
  // In each round a server gets its weight and buys what turns it can, the first one on credit: so none goes without a slot.
  while (free != 0) {
    for (Claimant& claimant : claiming) {
      claimant.credit += claimant.weight;
      for (; claimant.credit > 0 && free != 0; claimant.credit -= price) claim(claimant);
    }
  }
}

}  // namespace steelyard::balance
