// Active health checks of one pool: a fiber for each server asks it at its interval and tells the pool when the answer has
// changed often enough. Lives on the control thread, owned by app/.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/prng.hpp"
#include "decide/health/threshold.hpp"
#include "net/stream.hpp"
#include "runtime/task.hpp"
#include "upstream/pool.hpp"
#include "wire/http/message.hpp"

namespace steelyard {

class Prober {
 public:
  // `unix_time` tells the seconds since 1970, for people to read.
  Prober(Connector& connector, Pool& pool, std::uint64_t seed, std::function<std::int64_t()> unix_time);
  ~Prober();

  void start();
  // Cancels all checks; they have ended when it returns and the scheduler has run what is ready.
  void stop();
  [[nodiscard]] bool running() const { return running_ > 0; }

 private:
  // Nothing when the server is healthy, else why not.
  using Verdict = std::optional<std::string>;

  class Check final : private Fiber::Owner {
   public:
    Check(Prober& prober, Server& server);
    void start() { fiber_.start(run()); }
    void stop() { fiber_.cancel(Cause::shutdown); }

   private:
    Task<void> run();
    Task<Verdict> ask();
    Task<Verdict> exchange(Stream& stream);
    void judge(const Verdict& verdict);
    void on_finished(Fiber& /*fiber*/) override { --prober_.running_; }

    Prober& prober_;
    Server& server_;
    Threshold threshold_;
    Fiber fiber_;
  };

  Connector& connector_;
  Pool& pool_;
  const HealthOptions options_;
  Prng prng_;
  std::function<std::int64_t()> unix_time_;
  http::ResponseHead head_;  // of the answer being parsed; no check keeps it over a wait
  int running_ = 0;
  std::vector<std::unique_ptr<Check>> checks_;
};

}  // namespace steelyard
