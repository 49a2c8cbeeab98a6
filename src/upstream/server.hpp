// One server as a living thing: what the configuration says of it and what is known of it now. One object for the whole
// process, owned by its Pool; workers and the control thread share it through atomics. What each worker counts for itself is
// in ServerMetrics, found by `slot`.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "base/time.hpp"
#include "net/address.hpp"
#include "observe/counter.hpp"
#include "upstream/options.hpp"

namespace steelyard {

enum class Health : std::uint8_t { unknown, healthy, unhealthy };  // unknown: not checked yet, or not at all; takes traffic

struct HealthState {
  Health health = Health::unknown;
  std::string reason;  // in words, for people
  std::int64_t since_unix_s = 0;
};

// What one worker counts for one server.
struct ServerMetrics {
  Counter requests;
  Counter failures;  // tries that ended without a complete response
  Counter connections_opened;
  Counter connections_reused;
  Gauge connections_idle;
};

class Server {
 public:
  Server(const ServerOptions& options, const SocketAddress& address, std::uint32_t slot);

  const std::string id;
  const std::string authority;  // "host:port" as configured
  const SocketAddress address;
  const std::uint32_t weight;
  const std::uint64_t id_hash;
  const std::map<std::string, std::string> labels;
  const std::uint32_t slot;  // position among all servers of the process

  std::atomic<std::uint32_t> active{0};  // exchanges under way, over all workers

  [[nodiscard]] bool takes_traffic() const { return health_.load(std::memory_order_relaxed) != Health::unhealthy; }
  [[nodiscard]] HealthState health() const;
  void set_health(Health health, std::string reason, std::int64_t unix_s);

 private:
  std::atomic<Health> health_{Health::unknown};
  mutable std::mutex mutex_;
  HealthState state_;
};

}  // namespace steelyard
