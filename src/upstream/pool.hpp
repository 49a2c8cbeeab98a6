// A set of servers, what is known of them, and what follows from that. One object for as long as the configuration has a pool of its
// name. Who may be chosen and by which rules is an immutable Members value; each worker has a PoolView that keeps the one it saw
// last. Changes are rare and take a lock; what every request touches are the atomics of single servers.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "decide/retry/quantile.hpp"
#include "decide/retry/request_window.hpp"
#include "net/address.hpp"
#include "observe/message.hpp"
#include "upstream/knowledge.hpp"
#include "upstream/members.hpp"
#include "upstream/options.hpp"
#include "upstream/server.hpp"
#include "upstream/sessions.hpp"
#include "upstream/wait_queue.hpp"

namespace steelyard {

// What one worker counts for one pool.
struct alignas(64) PoolShard {
  retry::RequestWindow window;
  Gauge active;             // exchanges under way
  Counter broken_promises;  // see Pool::broken_promises()
};

// What the checks say of a server by now.
struct CheckReport {
  Health health = Health::unknown;
  bool draining = false;  // it is healthy and asks for no new traffic; while it is unhealthy, what it said last
  std::string reason;     // in words, for people
};

// One server as a pool is to have it.
struct PoolServer {
  ServerOptions options;
  SocketAddress address;
  bool drained = false;  // by an operator
  ForcedHealth forced = ForcedHealth::none;
  std::optional<LoadReport> report{};  // what it said of itself last, for an object that has not heard it
};

class Pool {
 public:
  Pool(std::string name, std::uint32_t workers);
  // With options.servers, which are at `addresses`.
  Pool(PoolOptions options, std::span<const SocketAddress> addresses, std::uint32_t workers);

  // What it is from now on. A server that it has already, by id, address and promises, stays the same object with all that is known of
  // it. Where only its promises are others, a new one counts on from what it has counted. One that is not among them is removed: nothing
  // new begins there, and what is under way may take options.drain. From the control thread.
  void configure(PoolOptions options, std::span<const PoolServer> servers, const Moment& at);

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] std::uint64_t version() const { return version_.load(std::memory_order_acquire); }
  [[nodiscard]] std::shared_ptr<const Members> members() const;
  [[nodiscard]] std::shared_ptr<const PoolOptions> options() const { return members()->options; }
  [[nodiscard]] std::vector<std::shared_ptr<Server>> servers() const { return members()->servers; }
  // Those that are removed and have exchanges under way, or somebody who knows them.
  [[nodiscard]] std::vector<std::shared_ptr<Server>> leaving() const;

  // Checks and operators have decided. From any thread.
  void on_check(Server& server, const CheckReport& report, const Moment& at);
  void set_health(Server& server, Health health, std::string reason, const Moment& at);
  void drain(Server& server, std::string reason, const Moment& at);
  void end_drain(Server& server, std::string reason, const Moment& at);
  // What is under way at `server` by then, removed or drained, is to be cut. Only the last word counts.
  void set_deadline(Server& server, Instant deadline);
  // Those whose deadline has passed, for whoever cuts what is under way there; once.
  [[nodiscard]] std::vector<std::shared_ptr<Server>> take_overdue(Instant now);
  // A comparison has shown that `server` is far worse than the others. False where too many are ejected already.
  bool eject(Server& server, const std::string& reason, const Moment& at);
  // What is known of its servers, and the same from an earlier process, for those that are still wanted, before there is traffic. What
  // checks have found counts only where the pool still has checks.
  [[nodiscard]] std::vector<ServerKnowledge> knowledge() const;
  void restore(std::span<const ServerKnowledge> knowledge, const Moment& at);
  // Only what has been counted there since; at any time.
  void continue_from(std::span<const ServerKnowledge> knowledge);
  // That process has ended: nothing is under way there.
  void forget_elsewhere();
  // What `server` says of what it was sent by redirects; until it first does, that counts for nothing. From the control thread.
  void report(Server& server, const LoadReport& report, Instant now);
  // Publishes what has changed since the last time, drops remote work that can no longer arrive, lets one of those that wait for a place
  // find out about a server whose pause is over, and lets go of removed servers that nobody needs any more. From the control thread, every
  // so often.
  void publish_changes(Instant now);

  // What a try has shown. From workers.
  // `outliers`: by which rules. `asked`: the try was made to find out how the server is.
  void on_try(Server& server, const TryResult& result, const std::optional<OutlierOptions>& outliers, bool asked, const Moment& at);
  void on_unreachable(Server& server, std::string_view why, const Moment& at);
  // A server of `group` whose pause is over, for this request to find out how it is; nullptr: none. It promises what is demanded. A
  // request that may be repeated is preferred, because it loses nothing by a failure.
  using Demand = std::optional<policy::Demand>;
  std::shared_ptr<Server> claim_probe(const Group& group, const Demand& demand, bool repeatable, Instant now) {
    return now.ns < group.state->next_probe_ns.load(std::memory_order_relaxed) ? nullptr : claim_due_probe(demand, repeatable, now);
  }

  [[nodiscard]] PoolShard& shard(std::uint32_t worker) { return shards_[worker]; }
  [[nodiscard]] retry::Recent recent(std::int64_t second) const;
  [[nodiscard]] std::uint64_t active() const;

  // Of the time that good answers take, from the try's start to the answer's head.
  [[nodiscard]] retry::Quantile& answer_time_p95() { return answer_time_p95_; }

  // Choices that the last look refused, because the server did not promise what the request demanded. There must never be one.
  [[nodiscard]] std::uint64_t broken_promises() const;

  WaitQueue& queue() { return queue_; }
  [[nodiscard]] std::uint32_t queued() const { return queue_.size(); }
  // Whether there is any limit on the number of exchanges.
  [[nodiscard]] bool limited() const { return limited_.load(std::memory_order_relaxed); }
  // Counts an exchange of a pool that may have so many.
  [[nodiscard]] bool begin_exchange(std::uint32_t active_max);
  void end_exchange() { active_.fetch_sub(1); }
  // The client of an exchange at `server` is about to be sent there itself. True: that counts as work there from now on, in place of the
  // exchange. `in_pool`: the exchange counts against what the pool may have. From workers.
  [[nodiscard]] bool send_away(Server& server, bool in_pool, Duration lifetime);

 private:
  // A server that was ejected or could not be reached, and when it is asked again.
  struct Pause {
    Server* server = nullptr;
    Instant began;
    Instant ends;
    Duration length{0};
    bool probing = false;  // a request is finding out
  };

  struct Deadline {
    std::shared_ptr<Server> server;
    Instant at;
  };

  std::shared_ptr<Server> claim_due_probe(const Demand& demand, bool repeatable, Instant now);
  [[nodiscard]] static bool may_hold_locked(const Server& server);
  [[nodiscard]] bool may_eject_locked() const;
  void eject_locked(Server& server, const std::string& reason, const Moment& at);
  Pause* pause_of_locked(const Server& server);
  void pause_locked(Server& server, Duration length, Instant now);
  void end_pause_locked(Server& server, std::string_view why, const Moment& at);
  void find_next_probe_locked();
  void begin_slow_start_locked(Server& server, Instant now);
  Server* find_known_locked(const ServerKnowledge& known) const;
  void restore_locked(Server& server, const ServerKnowledge& known, const Moment& at);
  void set_elsewhere_locked(Server& server, std::uint32_t active);
  void hold_drain_locked(Server& server, Hold hold, std::string reason, const Moment& at);
  void release_drain_locked(Server& server, Hold hold, std::string_view reason, const Moment& at);
  using KnownServers = std::unordered_multimap<std::string_view, std::shared_ptr<Server>>;  // by id
  [[nodiscard]] KnownServers known_locked() const;
  [[nodiscard]] policy::Promises promises_of(const ServerOptions& server) const;
  std::shared_ptr<Server> take_known_locked(const PoolServer& wanted, const policy::Promises& promises, const KnownServers& known);
  static void continue_counts(Server& server, const KnownServers& known);
  void remove_locked(const std::shared_ptr<Server>& server, const Moment& at);
  void change_remote(Server& server, std::int64_t change);
  void drop_lost_locked(Instant now);
  void force_locked(Server& server, ForcedHealth forced, const Moment& at);
  void let_go_locked();
  void rebuild_locked();
  [[nodiscard]] std::vector<Group> make_groups_locked() const;
  [[nodiscard]] Tier make_tier(std::span<Server* const> servers, bool backup, const Tier* before) const;
  void say(LogLevel level, const Server& server, std::string_view what, std::string_view reason) const;

  const std::string name_;
  const std::uint32_t workers_;
  const std::unique_ptr<PoolShard[]> shards_;
  mutable std::mutex mutex_;
  std::shared_ptr<const PoolOptions> options_;
  std::vector<std::shared_ptr<Server>> servers_;
  std::vector<std::shared_ptr<Server>> leaving_;
  std::shared_ptr<const Sessions> sessions_;
  std::shared_ptr<const Members> members_;
  std::vector<Pause> pauses_;
  std::vector<Deadline> deadlines_;
  bool changed_ = false;
  bool tables_stale_ = true;  // those of the hashes: who is in the pool has changed
  std::atomic<std::uint64_t> version_{0};
  std::atomic<bool> limited_{false};
  std::atomic<std::uint32_t> active_{0};  // of those that began under a limit, and remote work
  std::atomic<std::int64_t> remote_{0};   // remote work of all servers
  WaitQueue queue_{active_};
  retry::Quantile answer_time_p95_{0.95};
  alignas(64) std::atomic<std::int64_t> next_probe_ns_{INT64_MAX};  // of all groups
};

}  // namespace steelyard
