// Active health checks of one pool: a fiber for each server checks it at its interval and reports when the answers have changed
// often enough. Checks are spread over the interval, and only so many are under way at once. Lives on the control thread, owned by
// app/.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/prng.hpp"
#include "decide/health/threshold.hpp"
#include "net/stream.hpp"
#include "runtime/task.hpp"
#include "upstream/check.hpp"
#include "upstream/pool.hpp"

namespace steelyard {

// Told on the control thread when health or draining has changed.
using CheckSink = std::function<void(Server& server, const CheckReport& report)>;

class Prober {
 public:
  // Further checks wait until one of these has ended: each holds a descriptor.
  static constexpr std::size_t checks_under_way_max = 256;

  Prober(Connector& connector, Pool& pool, std::uint64_t seed, CheckSink sink);
  ~Prober();

  void start();
  // Cancels all checks; they have ended when it returns and the scheduler has run what is ready.
  void stop();
  [[nodiscard]] bool running() const { return running_ > 0; }

 private:
  // The checks of one server, one after the other.
  class Probe final : private Fiber::Owner {
   public:
    Probe(Prober& prober, Server& server);
    void start(Instant first) { fiber_.start(run(first)); }
    void stop() { fiber_.cancel(Cause::shutdown); }
    // The check that waits for its turn may begin.
    void take_turn() { fiber_.interrupt(); }

   private:
    Task<void> run(Instant due);
    void judge(CheckVerdict verdict);
    void log_change(Health health_before, const CheckVerdict& verdict) const;
    void on_finished(Fiber& /*fiber*/) override { --prober_.running_; }

    Prober& prober_;
    Server& server_;
    const ServerCheck check_;
    Threshold threshold_;
    Health health_ = Health::unknown;
    bool draining_ = false;
    Fiber fiber_;
  };

  // False: it is in the queue and will be given its turn.
  bool begin_or_queue(Probe& probe);
  void end_turn();
  // When the check after one that begins now is due.
  Instant draw_due(Instant begun);

  Connector& connector_;
  Pool& pool_;
  const HealthOptions options_;
  Prng prng_;
  CheckSink sink_;
  int running_ = 0;
  std::size_t under_way_ = 0;
  std::deque<Probe*> queue_;
  std::vector<std::unique_ptr<Probe>> probes_;
};

}  // namespace steelyard
