// The whole configuration, typed and validated: what the loader makes of a file and what app/ runs.
#pragma once

#include <optional>
#include <vector>

#include "observe/options.hpp"
#include "proxy/options.hpp"
#include "session/options.hpp"
#include "upstream/options.hpp"

namespace steelyard {

struct Options {
  std::uint32_t workers = 0;  // 0: one for each core
  Duration spin{0};           // how long an idle worker polls before it sleeps; lowers the latency of a lone connection
  bool metrics = true;
  LogOptions log;
  HttpOptions http;
  TimeoutOptions timeouts;
  ConnectionOptions connections;
  ForwardedOptions forwarded;
  std::vector<ListenerOptions> listeners;
  std::vector<RouteOptions> routes;
  std::vector<PoolOptions> pools;
};

}  // namespace steelyard
