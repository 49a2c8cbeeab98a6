// The tables of the configuration: every key of the full spelling and of LoadX's flat one, with its type, limits and meaning.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "config/options.hpp"
#include "config/section.hpp"

namespace steelyard::config {

const Section<Options>& full_table();

// A LoadX config.json as it stands in the file, with that system's defaults; times there are numbers of seconds.
struct FlatOptions {
  std::uint16_t proxy_port = 8080;
  std::string proxy_host = "0.0.0.0";
  Algorithm algorithm = Algorithm::round_robin;
  std::vector<ServerOptions> backend_servers;
  Duration health_check_interval = 30s;
  Duration health_check_timeout = 5s;
  std::uint32_t max_connections = 1000;
  Duration connection_timeout = 30s;
  Duration request_timeout = 30s;
  bool enable_logging = true;
  bool enable_metrics = true;
};

const Section<FlatOptions>& flat_table();

// What the flat options mean in full. FlatOptions have been read without a problem.
Options expand_flat(const FlatOptions& flat);

// What a whole file in the full spelling must keep to beyond its single sections; fills in what follows from the rest: the route
// of a lone pool, and the names of routes. `root` is the file's map.
void check_whole(const Node& root, Options& options, Reading& reading);

}  // namespace steelyard::config
