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
  explicit ConnectionLimits(const ConnectionOptions& options) : options_(options) {}

  // Counts a new connection. Returns the limit that it is over, which makes it no less counted.
  std::optional<Limit> enter(const IpAddress& client);
  void leave(const IpAddress& client);

 private:
  struct Hash {
    std::size_t operator()(const IpAddress& ip) const { return ip.hash(); }
  };

  const ConnectionOptions options_;
  std::atomic<std::uint32_t> total_{0};
  std::mutex mutex_;
  std::unordered_map<IpAddress, std::uint32_t, Hash> by_client_;  // only where that limit is set
};

}  // namespace steelyard
