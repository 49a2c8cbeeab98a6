// A set of servers, what is known of them, and what follows from that. One object for the whole process. Who may be chosen is an
// immutable Members value; each worker has a PoolView that keeps the one it saw last. Changes are rare and take a lock; what
// every request touches are the atomics of single servers.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "decide/retry/quantile.hpp"
#include "decide/retry/request_window.hpp"
#include "net/address.hpp"
#include "observe/message.hpp"
#include "upstream/members.hpp"
#include "upstream/options.hpp"
#include "upstream/server.hpp"
#include "upstream/sessions.hpp"
#include "upstream/wait_queue.hpp"

namespace steelyard {

// What one worker counts for one pool.
struct alignas(64) PoolShard {
  retry::RequestWindow window;
  Gauge active;  // exchanges under way
};

// What the checks say of a server by now.
struct CheckReport {
  Health health = Health::unknown;
  bool draining = false;  // it is healthy and asks for no new traffic; while it is unhealthy, what it said last
  std::string reason;     // in words, for people
};

class Pool {
 public:
  // `addresses` are those of options.servers, resolved; `first_slot` is the first server's place among all of the process.
  Pool(PoolOptions options, std::span<const SocketAddress> addresses, std::uint32_t first_slot);

  [[nodiscard]] const PoolOptions& options() const { return options_; }
  [[nodiscard]] std::span<const std::unique_ptr<Server>> servers() const { return servers_; }
  [[nodiscard]] const Sessions* sessions() const { return sessions_.get(); }

  [[nodiscard]] std::uint64_t version() const { return version_.load(std::memory_order_acquire); }
  [[nodiscard]] std::shared_ptr<const Members> members() const;

  // Checks and operators have decided. From any thread.
  void on_check(Server& server, const CheckReport& report, const Moment& at);
  void set_health(Server& server, Health health, std::string reason, const Moment& at);
  void drain(Server& server, std::string reason, const Moment& at);
  void end_drain(Server& server, std::string reason, const Moment& at);
  // A comparison has shown that `server` is far worse than the others. False where too many are ejected already.
  bool eject(Server& server, const std::string& reason, const Moment& at);
  // Publishes what has changed since the last time, and lets one of those that wait for a place find out about a server whose pause is
  // over. From the control thread, every so often.
  void publish_changes(Instant now);

  // What a try has shown. From workers.
  // `asked`: the try was made to find out how the server is.
  void on_try(Server& server, const TryResult& result, bool asked, const Moment& at);
  void on_unreachable(Server& server, std::string_view why, const Moment& at);
  // A server whose pause is over, for this request to find out how it is; nullptr: none. A request that may be repeated is
  // preferred, because it loses nothing by a failure.
  Server* claim_probe(bool repeatable, Instant now) {
    return now.ns < next_probe_ns_.load(std::memory_order_relaxed) ? nullptr : claim_due_probe(repeatable, now);
  }

  // For a new worker, before any has started; valid as long as the pool.
  PoolShard& add_shard();
  [[nodiscard]] retry::Recent recent(std::int64_t second) const;
  [[nodiscard]] std::uint64_t active() const;

  // Of the time that good answers take, from the try's start to the answer's head.
  [[nodiscard]] retry::Quantile& answer_time_p95() { return answer_time_p95_; }

  // Where round robin and ties go on: one for all workers, so that picks alternate over the whole process.
  std::atomic<std::uint64_t>& cursor() { return cursor_; }
  WaitQueue& queue() { return queue_; }
  // Whether there is any limit on the number of exchanges.
  [[nodiscard]] bool limited() const { return limited_; }
  // Counts against active_max of the whole pool.
  [[nodiscard]] bool begin_exchange();
  void end_exchange();

 private:
  // A server that was ejected or could not be reached, and when it is asked again.
  struct Pause {
    Server* server = nullptr;
    Instant began;
    Instant ends;
    Duration length{0};
    bool probing = false;  // a request is finding out
  };

  Server* claim_due_probe(bool repeatable, Instant now);
  [[nodiscard]] bool may_eject_locked() const;
  void eject_locked(Server& server, const std::string& reason, const Moment& at);
  Pause* pause_of_locked(const Server& server);
  void pause_locked(Server& server, Duration length, Instant now);
  void end_pause_locked(Server& server, const Moment& at);
  void find_next_probe_locked();
  void begin_slow_start(Server& server, Instant now);
  void rebuild_locked();
  Tier make_tier(bool backup, const Tier* before) const;
  void say(LogLevel level, const Server& server, std::string_view what, std::string_view reason) const;

  PoolOptions options_;
  std::vector<std::unique_ptr<Server>> servers_;
  std::unique_ptr<const Sessions> sessions_;
  const bool limited_;
  mutable std::mutex mutex_;
  std::shared_ptr<const Members> members_;
  std::vector<Pause> pauses_;
  std::vector<std::unique_ptr<PoolShard>> shards_;
  bool changed_ = false;
  std::atomic<std::uint64_t> version_{0};
  WaitQueue queue_;
  retry::Quantile answer_time_p95_{0.95};
  std::atomic<std::uint32_t> active_{0};  // only where there is a limit
  alignas(64) std::atomic<std::uint64_t> cursor_{0};
  alignas(64) std::atomic<std::int64_t> next_probe_ns_{INT64_MAX};
};

}  // namespace steelyard
