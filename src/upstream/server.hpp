// One server as a living thing: what is wanted of it and what is known of it now. One object for the whole process, shared by its
// Pool, the members that it publishes and the connections to it; workers and the control thread meet in its atomics. What a worker
// has of it for itself is in a ServerShard.
//
// It is one address under one id for all its life, and promises the same. A server that is removed lives on as long as anything is
// under way there: whoever keeps it over a wait without an exchange counted there keeps a shared_ptr.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>

#include "base/intrusive_list.hpp"
#include "base/time.hpp"
#include "decide/balance/estimate.hpp"
#include "decide/health/failure_streak.hpp"
#include "decide/policy/promises.hpp"
#include "net/address.hpp"
#include "observe/counter.hpp"
#include "upstream/options.hpp"
#include "upstream/remote_work.hpp"

namespace steelyard {

enum class Health : std::uint8_t { unknown, healthy, unhealthy };  // unknown: not checked yet, or not at all; takes traffic

// Why a server takes no ordinary traffic. Several may hold at once.
enum class Hold : std::uint8_t {
  forced_down,  // an operator says so
  unhealthy,    // its checks fail
  unchecked,    // its first check is still to come, and the pool waits for that
  drained,      // an operator has asked for no new traffic, or it has been removed
  draining,     // it has asked for no new traffic itself
  ejected,      // its answers are too bad beside those of the others
  unreachable,  // the last try to connect failed
};
inline constexpr std::size_t hold_count = 7;
using Holds = std::uint8_t;  // bits of Hold
constexpr Holds bit(Hold hold) { return static_cast<Holds>(1U << static_cast<unsigned>(hold)); }
inline constexpr Holds any_hold = 0xff;
// What only tries have shown. It never leaves a pool without a server to try.
inline constexpr Holds passive_holds = bit(Hold::ejected) | bit(Hold::unreachable);
// Sessions may stay where only this holds.
inline constexpr Holds drain_holds = bit(Hold::drained) | bit(Hold::draining);

// The monotonic time, for deciding, and the time of day, for people.
struct Moment {
  Instant now;
  std::int64_t unix_s = 0;
};

// How a server stands, for people.
struct Standing {
  struct Note {
    std::string reason;
    std::int64_t since_unix_s = 0;
  };
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

class ServerConnection;

// What one worker has of one server. Its counters may be read from any thread, the rest is the worker's own.
struct alignas(64) ServerShard : ListLink {
  IntrusiveList<ServerConnection> idle;  // newest first; of one pool, so that the oldest is the first to expire
  std::uint32_t idle_count = 0;
  ServerMetrics metrics;
};

// What has been counted for a server over its life, by earlier processes as well.
struct ServerCounts {
  std::uint64_t requests = 0;
  std::uint64_t failures = 0;
  std::uint64_t error_statuses = 0;
  std::uint64_t connections_opened = 0;
  std::uint64_t connections_reused = 0;
  std::uint64_t redirects = 0;
  friend bool operator==(const ServerCounts&, const ServerCounts&) = default;
  // Each by itself, modulo 2^64.
  friend ServerCounts operator+(const ServerCounts& a, const ServerCounts& b);
  friend ServerCounts operator-(const ServerCounts& a, const ServerCounts& b);
};

// What all workers of this process together have counted.
struct ServerTotals {
  std::uint64_t requests = 0;
  std::uint64_t failures = 0;  // broken, or answered with what speaks against the server
};

class Server : public std::enable_shared_from_this<Server> {
 public:
  // `workers`: how many there are, each of which has a shard. `promises`: by the pool's policy; none where it has no policy.
  Server(const ServerOptions& options, const SocketAddress& address, std::uint32_t active_max, std::uint32_t workers,
         policy::Promises promises = {});

  const std::string id;
  const std::string authority;  // "host:port" as configured
  const SocketAddress address;
  const std::uint64_t id_hash;
  const policy::Promises promises;

  // Its promise that is `value`, a text that lives as long as the server; nothing where it does not promise that.
  [[nodiscard]] std::optional<std::string_view> promise(std::string_view value) const { return promises.find(value); }

  // What may change while it lives. change() is for Pool.
  void change(const ServerOptions& options, std::uint32_t active_max);
  [[nodiscard]] std::uint32_t weight() const { return weight_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint32_t active_max() const { return active_max_.load(std::memory_order_relaxed); }
  [[nodiscard]] bool backup() const { return backup_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::map<std::string, std::string> labels() const;
  // Where a redirect leads: scheme, host and port. The text lives as long as the server.
  [[nodiscard]] std::string_view public_url() const { return *public_url_.load(std::memory_order_acquire); }

  [[nodiscard]] ServerShard& shard(std::uint32_t worker) { return shards_[worker]; }
  [[nodiscard]] std::span<const ServerShard> shards() const { return {shards_.get(), workers_}; }
  [[nodiscard]] ServerTotals totals() const;
  [[nodiscard]] ServerCounts counts() const;
  // Counts on from what earlier processes have counted; again, when they have counted more.
  void continue_from(const ServerCounts& earlier);
  // Takes the place of `other`, which was the same server for people: counts on from what that has counted until now.
  void take_over_counts(const Server& other);

  // What every choice reads and every exchange writes: one cache line.
  struct alignas(64) Load {
    std::atomic<std::uint32_t> active{0};  // exchanges under way, over all workers, and remote work
    std::atomic<Holds> holds{0};
    std::atomic<FailureStreak> streak{};
    std::atomic<std::int64_t> warm_since_ns{0};  // when its slow start began; 0: it is warm
    balance::Estimate estimate;
  };
  static_assert(sizeof(Load) == 64);
  Load load;
  RemoteWork remote;

  [[nodiscard]] bool held(Holds holds) const { return (load.holds.load(std::memory_order_relaxed) & holds) != 0; }
  [[nodiscard]] bool takes_traffic() const { return weight() != 0 && !held(any_hold); }
  [[nodiscard]] bool full() const { return load.active.load(std::memory_order_relaxed) >= active_max(); }
  // Removed from its pool: nothing new begins, and no connection is kept.
  [[nodiscard]] bool removed() const { return removed_.load(std::memory_order_relaxed); }
  // Counts an exchange, unless there are active_max of them.
  [[nodiscard]] bool begin_exchange();
  void end_exchange() { load.active.fetch_sub(1); }
  // What is under way here: neither remote work, nor what the process before this one still has there.
  [[nodiscard]] std::uint32_t own_active() const {
    const std::uint32_t active = load.active.load(std::memory_order_relaxed);
    const std::int64_t work = remote.value() + elsewhere.load(std::memory_order_relaxed);
    return active > work ? active - static_cast<std::uint32_t>(work) : 0;
  }

  // The rest is for Pool, which owns the decisions, and for people.
  void hold(Hold hold, std::string reason, std::int64_t unix_s);
  void release(Hold hold, std::string_view why, std::int64_t unix_s);
  void set_health(Health health, std::string reason, std::int64_t unix_s);
  void set_removed(bool removed) { removed_.store(removed, std::memory_order_relaxed); }
  void set_forced(ForcedHealth forced) { forced_.store(forced, std::memory_order_relaxed); }
  [[nodiscard]] ForcedHealth forced() const { return forced_.load(std::memory_order_relaxed); }
  [[nodiscard]] Health health() const { return health_.load(std::memory_order_relaxed); }
  [[nodiscard]] Standing standing() const;
  // Why this holds; nothing where it does not.
  [[nodiscard]] std::optional<Standing::Note> note(Hold hold) const;
  // Why it takes traffic, when nothing holds.
  [[nodiscard]] Standing::Note well() const;
  void set_well(Standing::Note note);

  std::atomic<std::uint32_t> ejections{0};  // in all
  // Under the pool's lock: how many of them still make the next one longer, and when the last one ended.
  std::uint32_t ejections_remembered = 0;
  Instant ejection_ended;
  std::atomic<std::uint32_t> elsewhere{0};  // of `load.active`, what the process before this one still has under way there

 private:
  std::atomic<std::uint32_t> weight_;
  std::atomic<std::uint32_t> active_max_;
  std::atomic<bool> backup_;
  std::atomic<bool> removed_{false};
  std::atomic<ForcedHealth> forced_{ForcedHealth::none};
  std::atomic<Health> health_{Health::unknown};
  const std::uint32_t workers_;
  std::unique_ptr<ServerShard[]> shards_;
  mutable std::mutex mutex_;
  std::map<std::string, std::string> labels_;
  std::set<std::string> public_urls_;  // that it has had: whoever reads one needs no lock
  std::atomic<const std::string*> public_url_{nullptr};
  std::array<Standing::Note, hold_count> notes_;  // of the holds that there are
  Standing::Note well_;                           // why it takes traffic
  ServerCounts earlier_;
  ServerCounts taken_over_;  // from others in its place, without what this one has counted itself

  [[nodiscard]] ServerCounts own_counts() const;
  void set_public_url(const std::string& url);
};

}  // namespace steelyard
