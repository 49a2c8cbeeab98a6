// How many client connections there may be, in all and from one address, over all workers. Touched when a connection begins and
// ends, never for a request. Owned by app/.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "net/address.hpp"
#include "observe/metrics.hpp"
#include "session/options.hpp"

namespace steelyard {

class ConnectionLimits {
 public:
  explicit ConnectionLimits(const ConnectionOptions& options) { configure(options); }
  // From now on, for connections that begin. From any thread.
  void configure(const ConnectionOptions& options);

  // Counts a new connection. Returns the limit that it is over, which makes it no less counted.
  std::optional<Limit> enter(const IpAddress& client);
  void leave(const IpAddress& client);

 private:
  struct Hash {
    std::size_t operator()(const IpAddress& ip) const { return ip.hash(); }
  };

  std::atomic<std::uint32_t> connections_max_{0};
  std::atomic<std::uint32_t> per_client_max_{0};
  std::atomic<bool> counts_clients_{false};  // that limit has been set at some time
  std::atomic<std::uint32_t> total_{0};
  std::mutex mutex_;
  std::unordered_map<IpAddress, std::uint32_t, Hash> by_client_;
};

}  // namespace steelyard
