// Follows a quantile of a stream of durations with one number: each one above the estimate lifts it a little, each one below
// lowers it less, so that it rests where the wanted share lies below (stochastic approximation, Robbins and Monro 1951, on a
// logarithmic scale). Shared by all workers; an update that is lost now and then changes nothing.
#pragma once

#include <algorithm>
#include <atomic>

#include "base/time.hpp"

namespace steelyard::retry {

class Quantile {
 public:
  // `share`: 0.95 for the 95th percentile.
  explicit constexpr Quantile(double share) : share_(share) {}

  void add(Duration sample) {
    const double us = std::max(std::chrono::duration<double, std::micro>(sample).count(), 1.0);
    const double before = us_.load(std::memory_order_relaxed);
    const double factor = us > before ? 1 + step * share_ : 1 - step * (1 - share_);
    us_.store(before == 0 ? us : before * factor, std::memory_order_relaxed);
  }
  // 0: nothing is known yet.
  [[nodiscard]] Duration value() const {
    return std::chrono::duration_cast<Duration>(std::chrono::duration<double, std::micro>(us_.load(std::memory_order_relaxed)));
  }

 private:
  static constexpr double step = 0.05;  // of the estimate; twenty samples double it, or a few hundred halve it

  const double share_;
  std::atomic<double> us_{0};
};

}  // namespace steelyard::retry
