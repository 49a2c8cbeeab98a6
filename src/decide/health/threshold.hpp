// Whether a server counts as up: it goes down after `fall` failures in a row and comes back after `rise` successes in a row. Pure;
// knows neither what was checked nor when. One for each server, owned by whoever checks it.
#pragma once

#include <cstdint>

namespace steelyard {

class Threshold {
 public:
  enum class State : std::uint8_t { up, down };
  enum class Change : std::uint8_t { none, up, down };

  explicit constexpr Threshold(State initial = State::up) : state_(initial) {}

  [[nodiscard]] constexpr State state() const { return state_; }
  [[nodiscard]] constexpr bool is_up() const { return state_ == State::up; }

  // The limits are arguments, because a reload may change them while the count goes on. 0 is taken as 1.
  [[nodiscard]] constexpr Change on_success(std::uint32_t rise) { return count(State::up, rise) ? Change::up : Change::none; }
  [[nodiscard]] constexpr Change on_failure(std::uint32_t fall) { return count(State::down, fall) ? Change::down : Change::none; }

 private:
  // Counts results that speak against the state; one that speaks for it begins the count again.
  constexpr bool count(State seen, std::uint32_t limit) {
    if (seen == state_) {
      against_ = 0;
      return false;
    }
    if (++against_ < limit) return false;
    state_ = seen;
    against_ = 0;
    return true;
  }

  State state_;
  std::uint32_t against_ = 0;  // in a row; never above a limit
};

}  // namespace steelyard
