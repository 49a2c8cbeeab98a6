// A set of servers and how one of them is chosen. One object for the whole process. Which servers may be chosen is an
// immutable Members value that is replaced when health changes; each worker keeps the one it saw last and asks for a new one
// only when the version has moved, so a pick takes no lock.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "decide/balance/candidate.hpp"
#include "decide/balance/smooth_schedule.hpp"
#include "net/address.hpp"
#include "upstream/options.hpp"
#include "upstream/server.hpp"

namespace steelyard {

// The servers that may be chosen, in configured order.
struct Members {
  std::vector<Server*> servers;
  balance::Schedule schedule;  // of their positions, for round robin
};

class Pool {
 public:
  // `addresses` are those of options.servers, resolved; `first_slot` is the first server's place among all of the process.
  Pool(PoolOptions options, std::span<const SocketAddress> addresses, std::uint32_t first_slot);

  [[nodiscard]] const PoolOptions& options() const { return options_; }
  [[nodiscard]] std::span<const std::unique_ptr<Server>> servers() const { return servers_; }

  [[nodiscard]] std::uint64_t version() const { return version_.load(std::memory_order_acquire); }
  [[nodiscard]] std::shared_ptr<const Members> members() const;
  // A check or an operator has decided about `server`. From any thread.
  void set_health(Server& server, Health health, std::string reason, std::int64_t unix_s);

  // Where round robin and ties go on: one for all workers, so that picks alternate over the whole process.
  std::atomic<std::uint64_t>& cursor() { return cursor_; }

 private:
  void rebuild();

  PoolOptions options_;
  std::vector<std::unique_ptr<Server>> servers_;
  mutable std::mutex mutex_;
  std::shared_ptr<const Members> members_;
  std::atomic<std::uint64_t> version_{0};
  alignas(64) std::atomic<std::uint64_t> cursor_{0};
};

// A worker's view of a pool.
class PoolView {
 public:
  explicit PoolView(Pool& pool) : pool_(&pool) {}

  [[nodiscard]] Pool& pool() const { return *pool_; }
  // A server for a request of `client`, none of `tried`; nullptr when there is none.
  Server* pick(const IpAddress& client, std::span<Server* const> tried);

 private:
  std::optional<std::size_t> choose(const IpAddress& client, balance::Tried tried);
  void look_at_all();

  Pool* pool_;
  std::uint64_t version_ = UINT64_MAX;
  std::shared_ptr<const Members> members_;
  std::vector<balance::Candidate> candidates_;
};

}  // namespace steelyard
