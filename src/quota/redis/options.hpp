// How limits are counted in Redis, and how long a request waits for that at most. Plain values with defaults, filled by config/. Names of
// hosts are resolved by whoever fills it: Redis, Sentinels and nodes of a Cluster are addresses here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/time.hpp"
#include "net/address.hpp"
#include "tls/options.hpp"

namespace steelyard::quota {

enum class RedisMode : std::uint8_t {
  single,    // one Redis; where there are more addresses, the next is tried when one fails, and only one that takes writes is used
  sentinel,  // the master that Sentinels name
  cluster,   // each key at the node that its slot belongs to
};

// "" for both: none. Without a username it is the password of the default user (AUTH with one argument).
struct RedisLogin {
  std::string username{};
  std::string password{};
  friend bool operator==(const RedisLogin&, const RedisLogin&) = default;
};

struct RedisOptions {
  RedisMode mode = RedisMode::single;
  // single: Redis; sentinel: the Sentinels; cluster: nodes to learn the others from. At least one.
  std::vector<SocketAddress> addresses{};
  std::string master_name{};  // for Sentinels
  RedisLogin login{};
  RedisLogin sentinel_login{};
  std::uint32_t database = 0;               // a Cluster has only 0
  std::optional<tls::ClientOptions> tls{};  // for Sentinels as well; nothing: in the clear
  std::string prefix = "steelyard:";        // of all keys

  Duration timeout = 5ms;            // of each decision; a request waits for Redis no longer
  Duration connect_timeout = 100ms;  // of TCP, TLS and login together
  // After so many failures in a row, of whatever kind, a Redis is not asked any more until it answers a probe within `timeout`. Probes
  // come after retry_min, then twice as long each time up to retry_max.
  std::uint32_t failures_max = 3;
  Duration retry_min = 50ms;
  Duration retry_max = 500ms;

  std::uint32_t in_flight_max = 10'000;       // decisions under way at one Redis, by one worker
  std::size_t reply_bytes_max = 1024 * 1024;  // of one reply; the largest that is asked for is a Cluster's table of slots
  std::uint32_t nodes_max = 256;              // of a Cluster, known to one worker
  std::size_t key_bytes_max = 200;            // a longer one is replaced by its SHA-256

  friend bool operator==(const RedisOptions&, const RedisOptions&) = default;
};

}  // namespace steelyard::quota
