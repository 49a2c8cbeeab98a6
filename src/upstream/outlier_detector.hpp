// Compares the servers of one pool every interval and ejects those that are far worse than the others; also publishes what tries
// have changed in the pool meanwhile. A fiber on the control thread, owned by app/.
#pragma once

#include <functional>
#include <vector>

#include "decide/health/outlier.hpp"
#include "net/stream.hpp"
#include "runtime/task.hpp"
#include "upstream/pool.hpp"

namespace steelyard {

// What all workers have counted for a server since the process began.
struct ServerTotals {
  std::uint64_t requests = 0;
  std::uint64_t failures = 0;  // broken, or answered with what speaks against the server
};

class OutlierDetector final : private Fiber::Owner {
 public:
  using TotalsOf = std::function<ServerTotals(const Server&)>;

  OutlierDetector(Scheduler& scheduler, Pool& pool, TotalsOf totals_of);

  void start();
  // Cancels it; it has ended when the scheduler has run what is ready.
  void stop() { fiber_.cancel(Cause::shutdown); }

 private:
  Task<void> run();
  void compare();
  void on_finished(Fiber& /*fiber*/) override {}

  Pool& pool_;
  TotalsOf totals_of_;
  Fiber fiber_;
  std::vector<ServerTotals> before_;
};

}  // namespace steelyard
