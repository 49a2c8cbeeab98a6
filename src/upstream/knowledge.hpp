// What is known of a server as a value, for another process that goes on where this one ends. Not what an operator or a configuration
// has said of it: that is known there, too. Times are of the monotonic clock, which all processes of a machine share.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/time.hpp"
#include "decide/balance/estimate.hpp"
#include "net/address.hpp"
#include "upstream/server.hpp"

namespace steelyard {

struct ServerKnowledge {
  struct Held {
    Hold hold = Hold::unhealthy;  // by checks or tries
    Standing::Note note;
  };
  // It was ejected or cannot be reached, and is asked again when that ends.
  struct Pause {
    Instant began;
    Instant ends;
    Duration length{0};
  };

  std::string id;
  SocketAddress address;
  Health health = Health::unknown;
  std::vector<Held> holds;
  Standing::Note well;  // why it takes traffic
  std::optional<Pause> pause;
  std::uint32_t ejections = 0;
  std::uint32_t ejections_remembered = 0;
  Instant ejection_ended;
  std::int64_t warm_since_ns = 0;
  balance::Estimate::Values estimate;
  ServerCounts counts;
  std::uint32_t active = 0;          // exchanges under way there
  std::optional<LoadReport> remote;  // what it was sent by redirects
};

}  // namespace steelyard
