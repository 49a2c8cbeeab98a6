// What is learnt of one server from the tries at it: how fast it answers and how often it fails. One object for all workers,
// inside the server; atomics without order, because an update that is lost now and then changes nothing. Time is an argument;
// the workers' clocks may differ a little. What is old fades: nobody can tell from it how the server is now.
#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>

#include "base/time.hpp"

namespace steelyard::balance {

// After this long without news, half of what was known is still believed.
inline constexpr Duration estimate_memory = 10s;
// What a failure counts for, in answers as slow as usual: a server that fails 5 % more often than the rest is as good as one with
// five exchanges more under way. Errors come before latency, because nobody is served by a quick error.
inline constexpr float failure_cost = 100;

class Estimate {
 public:
  // A good answer came `latency` after its try began. `active`, the exchanges under way at the server then, itself included, does
  // not enter: without knowing how many a server works on at once, no division by it tells service from waiting, and one that
  // divides too much makes a busy server look fast, which makes it busier.
  void on_answer(Duration latency, std::uint32_t active, Instant now);
  // A try failed: no answer, or one that counts as a failure. What came quickly says nothing of the server's speed.
  void on_failure(Instant now);
  // The server was away: what was known is of another life.
  void forget(Instant now);

  // All of it, for another process that goes on with it.
  struct Values {
    float latency_us = 0;
    float answers = 0;
    bool known = false;
    float peak_us = 0;
    float failures = 0;
    Instant updated;
  };
  [[nodiscard]] Values values() const;
  void restore(const Values& values);

  // The geometric mean of the last 64 answers or so; 0: not known yet. Unlike the arithmetic mean it is not carried away by the
  // few long requests that make up most of the time in many services, nor by one stall.
  [[nodiscard]] float latency_us() const {
    return known_.load(std::memory_order_relaxed) ? latency_us_.load(std::memory_order_relaxed) : 0;
  }
  // Rises at once with a slow answer and falls slowly, over estimate_memory, also without answers (the peak-sensitive average of
  // Finagle's P2C balancer); 0: no answer yet.
  [[nodiscard]] float peak_us(Instant now) const {
    return peak_us_.load(std::memory_order_relaxed) * std::exp2(-in_memories(silence(now)));
  }
  // Smoothed share of tries that failed, 0 to 1.
  [[nodiscard]] float failures(Instant now) const {
    const float share = failures_.load(std::memory_order_relaxed);
    return share < failures_negligible ? share : share * std::exp2(-in_memories(silence(now)));
  }
  // Since it last answered or failed.
  [[nodiscard]] Duration silence(Instant now) const {
    return std::max(now - Instant{updated_ns_.load(std::memory_order_relaxed)}, Duration{0});
  }

 private:
  // Below, it is not worth working out how far it faded.
  static constexpr float failures_negligible = 0.01F;
  static float in_memories(Duration age) { return static_cast<float>(age.count()) / static_cast<float>(estimate_memory.count()); }

  std::atomic<float> latency_us_{0};
  std::atomic<float> answers_{0};  // on which latency_us_ rests; fades, so that what comes after a silence counts more
  std::atomic<bool> known_{false};
  std::atomic<float> peak_us_{0};
  std::atomic<float> failures_{0};
  std::atomic<std::int64_t> updated_ns_{0};
};

}  // namespace steelyard::balance
