// Compares the servers of one pool every interval and ejects those that are far worse than the others; also publishes what tries
// have changed in the pool meanwhile. A fiber on the control thread, owned by app/.
#pragma once

#include <memory>
#include <vector>

#include "decide/health/outlier.hpp"
#include "net/stream.hpp"
#include "runtime/task.hpp"
#include "upstream/pool.hpp"

namespace steelyard {

class OutlierDetector final : private Fiber::Owner {
 public:
  OutlierDetector(Scheduler& scheduler, Pool& pool) : pool_(pool), fiber_(scheduler, *this) {}

  void start();
  // Cancels it; it has ended when the scheduler has run what is ready.
  void stop() { fiber_.cancel(Cause::shutdown); }
  [[nodiscard]] bool running() const { return fiber_.running(); }

 private:
  // What all workers had counted for a server when it was looked at last.
  struct Seen {
    std::shared_ptr<Server> server;
    ServerTotals totals;
  };

  Task<void> run();
  void compare(const OutlierOptions& options);
  void on_finished(Fiber& /*fiber*/) override {}

  Pool& pool_;
  Fiber fiber_;
  std::vector<Seen> seen_;
};

}  // namespace steelyard
