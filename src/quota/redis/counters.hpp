// What one worker's RedisStore counts. Written by that worker alone, read by any thread.
#pragma once

#include "observe/counter.hpp"
#include "observe/histogram.hpp"

namespace steelyard::quota {

struct RedisCounters {
  Counter asked;        // decisions that Redis was asked for
  Counter timeouts;     // of these, not answered in time
  Counter errors;       // of these, answered with an error, or the connection broke
  Counter unavailable;  // decisions that Redis was not asked for: it was known to be away, or too many were under way
  Counter redirects;    // MOVED and ASK
  Counter connects;     // connections that came to serve
  Gauge nodes;          // that are served from now: 1 but for a Cluster
  Gauge nodes_open;     // that are known to be away (the breaker is open); where it is not 0, the log says why
  Histogram round_trips;
};

}  // namespace steelyard::quota
