// The pools of the process by name, with what watches them: health checks, comparisons, deadlines of servers that are to go. It is
// told what pools there are to be, and changes those that there are; a pool that is no longer wanted is kept until nothing is under way
// there. On the control thread, owned by app/.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/prng.hpp"
#include "net/stream.hpp"
#include "runtime/task.hpp"
#include "upstream/outlier_detector.hpp"
#include "upstream/pool.hpp"
#include "upstream/prober.hpp"

namespace steelyard {

// A pool as it is to be. `servers` count, not those of the options.
struct WantedPool {
  PoolOptions options;
  std::vector<PoolServer> servers;
};

class PoolSet final : private Fiber::Owner {
 public:
  struct Listener {
    // What is under way at that server is to be ended on each worker.
    std::function<void(const std::shared_ptr<Server>& server)> cut;
    // Whether it takes traffic, or why not, is another than it was a moment ago.
    std::function<void(const Pool& pool, const Server& server)> on_state;
  };

  PoolSet(Connector& connector, std::uint32_t workers, std::uint64_t seed, Listener listener);
  ~PoolSet();

  // In this order from now on. Pools are known by their names.
  void configure(std::vector<WantedPool> pools);
  // The servers of one of them have changed.
  void configure_servers(std::string_view pool, std::span<const PoolServer> servers);
  [[nodiscard]] const std::vector<std::shared_ptr<Pool>>& pools() const { return pools_; }
  [[nodiscard]] std::shared_ptr<Pool> find(std::string_view name) const;

  // Begins to watch the pools, those that come later included.
  void start();
  // All watching has ended when running() is false, after the scheduler has run what is ready.
  void stop();
  [[nodiscard]] bool running() const;

 private:
  struct Watch;

  Watch& watch_of(const std::string& name);
  void follow(Watch& watch);
  void tell_states(Watch& watch) const;
  Task<void> tend();
  [[nodiscard]] Moment moment() const;
  void on_finished(Fiber& /*fiber*/) override {}

  Connector& connector_;
  const std::uint32_t workers_;
  Prng prng_;
  Listener listener_;
  std::vector<std::shared_ptr<Pool>> pools_;
  std::vector<std::unique_ptr<Watch>> watches_;  // of these, and of pools that are to go
  bool watching_ = false;
  Fiber fiber_;
};

}  // namespace steelyard
