// What is learnt of one server from the tries at it: how fast it answers and how often it fails. One object for all workers,
// inside the server; atomics without order, because an update that is lost now and then changes nothing. Time is an argument.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/time.hpp"

namespace steelyard::balance {

class Estimate {
 public:
  // A good answer came `latency` after its try began, when `active` exchanges were under way at the server, itself included.
  void on_answer(Duration latency, std::uint32_t active, Instant now);
  // A try failed: no answer, or one that counts as a failure. What came quickly says nothing of the server's speed.
  void on_failure(Instant now);

  // Smoothed, in microseconds; 0: nothing is known.
  [[nodiscard]] std::uint32_t latency_us() const { return latency_us_.load(std::memory_order_relaxed); }
  // Smoothed share of tries that failed, 0 to 1.
  [[nodiscard]] float failures() const { return failures_.load(std::memory_order_relaxed); }
  [[nodiscard]] Instant updated() const { return {updated_ns_.load(std::memory_order_relaxed)}; }

 private:
  std::atomic<std::uint32_t> latency_us_{0};
  std::atomic<float> failures_{0};
  std::atomic<std::int64_t> updated_ns_{0};
};

}  // namespace steelyard::balance
