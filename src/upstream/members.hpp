// Who may be chosen: an immutable value that a Pool publishes anew when its servers have changed. A server that is held since
// then is still in it, and is passed over by its hold; one that was let go joins the turns with the next value.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "decide/balance/hash.hpp"
#include "decide/balance/ip_hash.hpp"
#include "decide/balance/smooth_schedule.hpp"
#include "upstream/server.hpp"

namespace steelyard {

// Servers that are chosen among together. A position in it is the same from one value to the next, so that what algorithms
// remember by position stays true.
struct Tier {
  std::vector<Server*> servers;  // in configured order; not those of weight 0
  balance::Schedule schedule;    // the turns of those that take traffic
  std::uint64_t weight_sum = 0;  // of those that take traffic
  std::size_t askable = 0;       // that nothing but what tries have shown keeps from traffic
  // For the hashes: of all servers of the tier, whatever their state, so that keys stay where they are when a server is away.
  std::shared_ptr<const balance::RendezvousTable> by_client;
  std::shared_ptr<const balance::MaglevTable> by_key;
};

struct Members {
  Tier primary;
  Tier backup;
};

}  // namespace steelyard
