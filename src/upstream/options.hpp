// What may be set about pools and their servers. Filled by config/, with these defaults.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/time.hpp"

namespace steelyard {

enum class Algorithm : std::uint8_t { round_robin, least_connections, ip_hash };

struct ServerOptions {
  std::string id;    // unique in its pool; by default "host:port"
  std::string host;  // an address or a name
  std::uint16_t port = 0;
  std::uint32_t weight = 1;  // 1 to weight_max
  std::map<std::string, std::string> labels;
};
inline constexpr std::uint32_t weight_max = 1000;

struct HealthOptions {
  std::string path = "/health";  // GET; 200 is healthy
  Duration interval = 5s;
  Duration timeout = 2s;
  std::uint32_t fall = 1;  // failures in a row until a server is taken out
  std::uint32_t rise = 1;  // successes in a row until it is back
};

struct KeepaliveOptions {
  std::uint32_t idle_connections_max = 1024;  // kept open to one server by one worker
  Duration idle_timeout = 55s;
};

struct PoolOptions {
  std::string name;
  Algorithm algorithm = Algorithm::round_robin;
  std::vector<ServerOptions> servers;
  std::optional<HealthOptions> health;  // without it servers are taken as healthy
  KeepaliveOptions keepalive;
  std::uint32_t tries_max = 3;  // servers tried for one request that reached nobody
};

}  // namespace steelyard
