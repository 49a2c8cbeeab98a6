#include "simulated_server.hpp"

#include <algorithm>
#include <cmath>
#include <functional>

namespace steelyard::bench {

SimulatedServer::SimulatedServer(const ServerBehaviour& behaviour) : behaviour_(behaviour), free_at_us_(behaviour.slots, 0) {}

std::int64_t SimulatedServer::admit(std::int64_t now_us, std::int64_t draw_us) {
  // Since the queue is served in order, the request gets the slot that is free first, and its end is known at once.
  std::ranges::pop_heap(free_at_us_, std::greater{});
  const std::int64_t start_us = after_stall(std::max(now_us, free_at_us_.back()));
  free_at_us_.back() = after_work(start_us, std::llround(service_us(start_us, draw_us)));
  const std::int64_t end_us = free_at_us_.back();
  std::ranges::push_heap(free_at_us_, std::greater{});
  return end_us + behaviour_.delay_us;
}

void SimulatedServer::restart(std::int64_t now_us) { std::ranges::fill(free_at_us_, now_us); }

double SimulatedServer::service_us(std::int64_t start_us, std::int64_t draw_us) const {
  if (behaviour_.fail_us > 0) return static_cast<double>(behaviour_.fail_us);
  const double service = static_cast<double>(draw_us) / behaviour_.speed;
  const std::int64_t age_us = start_us - (behaviour_.restart_at_us + behaviour_.restart_us);
  if (behaviour_.restart_us == 0 || age_us < 0 || age_us >= behaviour_.warm_us) return service;
  const double cold = 1 - static_cast<double>(age_us) / static_cast<double>(behaviour_.warm_us);
  return service * (1 + (behaviour_.warm_factor - 1) * cold);
}

std::int64_t SimulatedServer::after_stall(std::int64_t time_us) const {
  if (behaviour_.stall_us == 0) return time_us;
  const std::int64_t in_period_us = time_us % behaviour_.stall_period_us;
  const bool stalled = in_period_us >= behaviour_.stall_period_us - behaviour_.stall_us;
  return stalled ? time_us - in_period_us + behaviour_.stall_period_us : time_us;
}

// Work that a stall interrupts goes on after it. The start is in none.
std::int64_t SimulatedServer::after_work(std::int64_t start_us, std::int64_t work_us) const {
  if (behaviour_.stall_us == 0) return start_us + work_us;
  const std::int64_t awake_us = behaviour_.stall_period_us - behaviour_.stall_us;
  const std::int64_t until_stall_us = awake_us - start_us % behaviour_.stall_period_us;
  if (work_us < until_stall_us) return start_us + work_us;
  const std::int64_t rest_us = work_us - until_stall_us;
  const std::int64_t resumed_us = start_us + until_stall_us + behaviour_.stall_us;
  return resumed_us + rest_us / awake_us * behaviour_.stall_period_us + rest_us % awake_us;
}

}  // namespace steelyard::bench
