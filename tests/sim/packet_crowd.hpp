// Very many clients of packets at once, each with one connection and one packet, and servers so slow that all packets are under way or
// queued at the same time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace steelyard::sim {

struct CrowdOutcome {
  std::size_t answered = 0;
  std::size_t at_once = 0;  // exchanges, the most that were active
  std::size_t at_servers = 0;
  std::size_t queued = 0;
  std::size_t pool_bytes_idle = 0;  // of the worker's blocks: with all connections open and no packet
  std::size_t pool_bytes = 0;       // with all packets under way
  std::string left;                 // of the gauges, when all is over
};

// `at_servers_max`: how many packets may be under way at the servers; the others wait in the queue.
[[nodiscard]] CrowdOutcome run_packet_crowd(std::size_t clients, std::uint32_t at_servers_max);

}  // namespace steelyard::sim
