// Who may be chosen, and by which rules: an immutable value that a Pool publishes anew when its servers or options have changed. A
// server that is held since then is still in it, and is passed over by its hold; one that was let go joins the turns with the next
// value.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "decide/balance/hash.hpp"
#include "decide/balance/ip_hash.hpp"
#include "decide/balance/smooth_schedule.hpp"
#include "upstream/options.hpp"
#include "upstream/server.hpp"
#include "upstream/sessions.hpp"

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

// What goes on from one value to the next, for all workers.
struct GroupState {
  // Where round robin and ties go on: one for all workers, so that picks alternate over the whole process.
  alignas(64) std::atomic<std::uint64_t> cursor{0};
  // When the next pause of one of its servers ends.
  alignas(64) std::atomic<std::int64_t> next_probe_ns{INT64_MAX};
};

// Servers of which any may serve a request: those that make one promise or, where the pool has no policy, all.
struct Group {
  std::string promise{};  // "" where the pool has no policy
  std::shared_ptr<GroupState> state{};
  Tier primary{};
  Tier backup{};
};

struct Members {
  std::shared_ptr<const PoolOptions> options;
  std::vector<std::shared_ptr<Server>> servers;  // all of them; keeps those of the tiers alive
  std::shared_ptr<const Sessions> sessions;      // nullptr: not sticky
  bool has_policy = false;
  // One of all servers or, where the pool has a policy, one for each value that is promised, by the bytes of it. A server is in the
  // groups of all its promises; one without any is in none.
  std::vector<Group> groups;

  // nullptr: nobody promises that.
  [[nodiscard]] const Group* find(std::string_view promise) const {
    const auto found = std::ranges::lower_bound(groups, promise, {}, &Group::promise);
    return found == groups.end() || found->promise != promise ? nullptr : &*found;
  }
};

}  // namespace steelyard
