// One simulated server: some slots behind one queue, first come, first served, and what makes it odd. No work is done: a request
// says itself how long its service takes (its draw). Pure: time is an argument, in microseconds since the scenario began.
#pragma once

#include <cstdint>
#include <vector>

namespace steelyard::bench {

struct ServerBehaviour {
  std::uint32_t slots = 4;
  double speed = 1;           // service takes the draw divided by this
  std::int64_t delay_us = 0;  // on the way of each answer, where it holds no slot
  std::int64_t stall_us = 0;  // at the end of each period nothing starts or ends for so long
  std::int64_t stall_period_us = 0;
  std::int64_t fail_us = 0;        // each request is answered with 500 after so long, whatever its draw; 0: none is
  std::int64_t restart_at_us = 0;  // from then on connections are refused, for restart_us
  std::int64_t restart_us = 0;
  double warm_factor = 1;    // after the restart service takes so many times as long, less and less
  std::int64_t warm_us = 0;  // until after so long it is as before
};

class SimulatedServer {
 public:
  explicit SimulatedServer(const ServerBehaviour& behaviour);

  // A request arrives: when its answer is sent. Requests come in the order of time. One that its client gives up is served all
  // the same, as a program that is at work does not look at its connection.
  std::int64_t admit(std::int64_t now_us, std::int64_t draw_us);

  // What was queued or under way is gone, and all slots are free.
  void restart(std::int64_t now_us);

  const ServerBehaviour& behaviour() const { return behaviour_; }

 private:
  double service_us(std::int64_t start_us, std::int64_t draw_us) const;
  std::int64_t after_stall(std::int64_t time_us) const;
  std::int64_t after_work(std::int64_t start_us, std::int64_t work_us) const;

  ServerBehaviour behaviour_;
  std::vector<std::int64_t> free_at_us_;  // of each slot; a heap whose first is free first
};

}  // namespace steelyard::bench
