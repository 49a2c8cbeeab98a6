// No pick allocates, apart from the memory of least connections when the number of servers changes.
#include <gtest/gtest.h>

#include "decide/allocations.hpp"
#include "decide/balance/hash.hpp"
#include "decide/balance/ip_hash.hpp"
#include "decide/balance/least_connections.hpp"
#include "decide/balance/plain_view.hpp"
#include "decide/balance/random.hpp"
#include "decide/balance/round_robin.hpp"

namespace steelyard::balance {
namespace allocation_test {

TEST(BalanceAllocation, picks_do_none) {
  const PlainServers servers(1'000, {.active = 3});
  const PlainView view{servers};
  const Schedule schedule = smooth_schedule(weights_of(servers));
  const auto hashed = hashed_servers(weights_of(servers));
  const RendezvousTable rendezvous(hashed);
  const MaglevTable maglev(hashed);
  std::atomic<std::uint64_t> cursor{0};
  Prng prng(1);
  LeastConnectionsMemory memory;
  const std::size_t before_first = allocations;
  pick_least_connections(schedule, cursor, memory, view);
  EXPECT_GT(allocations, before_first);

  const std::size_t before = allocations;
  bool all = true;
  for (std::uint64_t i = 0; i < 100; ++i) {
    all = all && pick_round_robin(schedule, cursor, view) && pick_random(schedule, prng, view) &&
          pick_least_connections(schedule, cursor, memory, view) && pick_ip_hash(rendezvous, i, view) &&
          pick_hash(maglev, i, {3'000, 1'000, 1.25}, view);
  }
  EXPECT_EQ(allocations, before);
  EXPECT_TRUE(all);
}

}  // namespace allocation_test
}  // namespace steelyard::balance
