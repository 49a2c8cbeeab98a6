// One server as a living thing: what the configuration says of it and what is known of it now. One object for the whole
// process, owned by its Pool; workers and the control thread share it through atomics. What each worker counts for itself is
// in ServerMetrics, found by `slot`.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "base/time.hpp"
#include "decide/balance/estimate.hpp"
#include "decide/health/failure_streak.hpp"
#include "net/address.hpp"
#include "observe/counter.hpp"
#include "upstream/options.hpp"

namespace steelyard {

enum class Health : std::uint8_t { unknown, healthy, unhealthy };  // unknown: not checked yet, or not at all; takes traffic

// Why a server takes no ordinary traffic. Several may hold at once.
enum class Hold : std::uint8_t {
  unhealthy,    // its checks fail
  unchecked,    // its first check is still to come, and the pool waits for that
  draining,     // it or an operator has asked for no new traffic
  ejected,      // its answers are too bad beside those of the others
  unreachable,  // the last try to connect failed
};
inline constexpr std::size_t hold_count = 5;
using Holds = std::uint8_t;
constexpr Holds bit(Hold hold) { return static_cast<Holds>(1U << static_cast<unsigned>(hold)); }
inline constexpr Holds any_hold = 0xff;
// What only tries have shown. It never leaves a pool without a server to try.
inline constexpr Holds passive_holds = bit(Hold::ejected) | bit(Hold::unreachable);

// The monotonic time, for deciding, and the time of day, for people.
struct Moment {
  Instant now;
  std::int64_t unix_s = 0;
};

// How a server stands, for people.
struct Standing {
  std::string_view state;  // "healthy", "unhealthy", "ejected"…
  std::string reason;
  std::int64_t since_unix_s = 0;
};

// What one worker counts for one server.
struct ServerMetrics {
  Counter requests;
  Counter failures;        // tries that ended without a complete response
  Counter error_statuses;  // complete responses with a status of 500 or more
  Counter connections_opened;
  Counter connections_reused;
  Gauge connections_idle;
};

class Server {
 public:
  Server(const ServerOptions& options, const SocketAddress& address, std::uint32_t slot, std::uint32_t active_max);

  const std::string id;
  const std::string authority;  // "host:port" as configured
  const SocketAddress address;
  const std::uint32_t weight;
  const bool backup;
  const std::uint32_t active_max;
  const std::uint64_t id_hash;
  const std::map<std::string, std::string> labels;
  const std::uint32_t slot;  // position among all servers of the process

  // What every choice reads and every exchange writes: one cache line.
  struct alignas(64) Load {
    std::atomic<std::uint32_t> active{0};  // exchanges under way, over all workers
    std::atomic<Holds> holds{0};
    std::atomic<FailureStreak> streak{};
    std::atomic<std::int64_t> warm_since_ns{0};  // when its slow start began; 0: it is warm
    balance::Estimate estimate;
  };
  static_assert(sizeof(Load) == 64);
  Load load;

  [[nodiscard]] bool held(Holds holds) const { return (load.holds.load(std::memory_order_relaxed) & holds) != 0; }
  [[nodiscard]] bool takes_traffic() const { return weight != 0 && !held(any_hold); }
  [[nodiscard]] bool full() const { return load.active.load(std::memory_order_relaxed) >= active_max; }
  // Counts an exchange, unless there are active_max of them.
  [[nodiscard]] bool begin_exchange();
  void end_exchange() { load.active.fetch_sub(1); }

  // The rest is for Pool, which owns the decisions, and for people.
  void hold(Hold hold, std::string reason, std::int64_t unix_s);
  void release(Hold hold, std::string_view why, std::int64_t unix_s);
  void set_health(Health health, std::string reason, std::int64_t unix_s);
  [[nodiscard]] Health health() const { return health_.load(std::memory_order_relaxed); }
  [[nodiscard]] Standing standing() const;

  std::atomic<std::uint32_t> ejections{0};  // in all
  // Under the pool's lock: how many of them still make the next one longer, and when the last one ended.
  std::uint32_t ejections_remembered = 0;
  Instant ejection_ended;

 private:
  struct Note {
    std::string reason;
    std::int64_t since_unix_s = 0;
  };

  std::atomic<Health> health_{Health::unknown};
  mutable std::mutex mutex_;
  std::array<Note, hold_count> notes_;  // of the holds that there are
  Note well_;                           // why it takes traffic
};

}  // namespace steelyard
