// A hierarchical timing wheel (Varghese and Lauck, 1987) with ticks of one millisecond: O(1) to arm and to disarm, which is
// what a proxy does with nearly every timer. A timer never fires early and at most one tick late. One wheel a thread.
#pragma once

#include <array>
#include <cstdint>

#include "base/intrusive_list.hpp"
#include "base/time.hpp"

namespace steelyard {

class Timer : public ListLink {
 public:
  virtual void on_expired() = 0;
  [[nodiscard]] bool armed() const { return linked(); }
  [[nodiscard]] Instant expiry() const { return expiry_; }
  void disarm() { unlink(); }

 protected:
  ~Timer() = default;

 private:
  friend class TimerWheel;
  Instant expiry_;
};

class TimerWheel {
 public:
  explicit TimerWheel(Instant now) : tick_(tick_of(now)) {}

  void arm(Timer& timer, Instant expiry);
  // Fires what is due.
  void advance(Instant now);
  // No timer fires before this; `never` when there is none. Exact for what is due within 64 ms, else a lower bound.
  [[nodiscard]] Instant next() const;

 private:
  static constexpr unsigned level_bits = 6;
  static constexpr unsigned slots = 1U << level_bits;
  static constexpr unsigned levels = 6;
  static constexpr std::int64_t tick_ns = 1'000'000;

  static std::int64_t tick_of(Instant at) { return at.ns / tick_ns; }
  void place(Timer& timer, std::int64_t earliest);
  void cascade(unsigned level);

  std::array<std::array<IntrusiveList<Timer>, slots>, levels> wheel_;
  // A bit for each slot that may hold a timer; disarming leaves it set and next() clears it.
  mutable std::array<std::uint64_t, levels> occupied_{};
  std::int64_t tick_;  // everything up to and including this tick has been fired
};

}  // namespace steelyard
