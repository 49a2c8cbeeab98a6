// What one run of the load generator does. Filled once from the command line, read by clients and backend.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace steelyard::bench {

enum class Connections {
  kept,             // one request after the other on each
  closed_by_proxy,  // a new one for each request, which says Connection: close
  closed_by_us,     // a new one for each request, closed here without a word
  idle,             // one request each, then they stay
};

struct LoadOptions {
  std::vector<std::uint16_t> targets;   // ports of the proxies, taken in turn; none means to be a backend only
  std::vector<std::uint16_t> backends;  // ports that answer in this very process
  std::size_t connections = 1;
  Connections kind = Connections::kept;
  double rate = 0;     // requests per second of an open loop; 0 is the closed loop
  double delay_s = 0;  // how long to be a backend only, until other generators' backends listen too
  double warm_up_s = 0.3;
  double seconds = 1;
  std::string path = "/1k";
  std::string host = "h0.test";
  std::size_t variants = 1;  // %d in path and host counts through this many
  bool busy_poll = false;
  bool hold = false;  // after the result, keep everything open and answer until standard input ends
};

}  // namespace steelyard::bench
