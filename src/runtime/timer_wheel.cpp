#include "runtime/timer_wheel.hpp"

#include <algorithm>
#include <bit>

namespace steelyard {

void TimerWheel::arm(Timer& timer, Instant expiry) {
  timer.unlink();
  timer.expiry_ = expiry;
  place(timer, tick_ + 1);
}

void TimerWheel::place(Timer& timer, std::int64_t earliest) {
  // Rounded up, so that nothing fires early.
  const std::int64_t wanted = timer.expiry_.ns > INT64_MAX - tick_ns ? INT64_MAX / tick_ns : (timer.expiry_.ns + tick_ns - 1) / tick_ns;
  const std::int64_t span = (std::int64_t{1} << (level_bits * levels)) - 1;
  const std::int64_t due = std::clamp(wanted, earliest, tick_ + span);
  const std::int64_t distance = due - tick_;
  unsigned level = 0;
  while (level + 1 < levels && distance >= (std::int64_t{1} << (level_bits * (level + 1)))) ++level;
  const auto slot = static_cast<std::size_t>(due >> (level_bits * level)) & (slots - 1);
  wheel_[level][slot].push_back(timer);
  occupied_[level] |= std::uint64_t{1} << slot;
}

void TimerWheel::cascade(unsigned level) {
  if (level == levels) return;
  const auto slot = static_cast<std::size_t>(tick_ >> (level_bits * level)) & (slots - 1);
  if (slot == 0) cascade(level + 1);
  IntrusiveList<Timer> moved;
  moved.take_all(wheel_[level][slot]);
  // What is due in this very tick lands in the slot that is about to be fired.
  while (Timer* timer = moved.pop_front()) place(*timer, tick_);
}

void TimerWheel::advance(Instant now) {
  const std::int64_t target = tick_of(now);
  while (tick_ < target) {
    const Instant at = next();
    if (at == never) {
      tick_ = target;
      return;
    }
    // Skip the ticks in which nothing happens; `next` never passes a cascade.
    tick_ = std::max(tick_ + 1, std::min(target, tick_of(at)));
    const auto slot = static_cast<std::size_t>(tick_) & (slots - 1);
    if (slot == 0) cascade(1);
    IntrusiveList<Timer> due;
    due.take_all(wheel_[0][slot]);
    while (Timer* timer = due.pop_front()) {
      if (tick_of(timer->expiry_) > tick_) {  // farther away than the wheel reaches
        place(*timer, tick_ + 1);
      } else {
        timer->on_expired();
      }
    }
  }
}

Instant TimerWheel::next() const {
  std::int64_t earliest = INT64_MAX;
  for (unsigned level = 0; level < levels; ++level) {
    const std::int64_t base = tick_ >> (level_bits * level);
    const auto first = static_cast<int>((base + 1) & (slots - 1));
    while (occupied_[level] != 0) {
      const int ahead = std::countr_zero(std::rotr(occupied_[level], first));
      const auto slot = static_cast<std::size_t>(first + ahead) & (slots - 1);
      if (wheel_[level][slot].empty()) {  // disarmed since
        occupied_[level] &= ~(std::uint64_t{1} << slot);
        continue;
      }
      earliest = std::min(earliest, (base + 1 + ahead) << (level_bits * level));
      break;
    }
  }
  return earliest == INT64_MAX ? never : Instant{earliest * tick_ns};
}

}  // namespace steelyard
