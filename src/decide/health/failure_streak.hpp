// The failures of one server in a row, and when they are enough to eject it at once. Pure. Eight bytes without padding, so that
// workers can share one as an atomic value that they load, count on a copy and exchange; a good answer on a clean streak, which is
// nearly every answer, needs no exchange.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "decide/health/ejection.hpp"

namespace steelyard {

// Good answers in a row after an ejection until a single failure is no reason for the next one any more.
inline constexpr std::uint16_t probation_answers = 10;

class FailureStreak {
 public:
  // Counts a try. The reason when its server is to be ejected now, and again at each further failure, because the pool's share of
  // ejected servers may have forbidden it the first time.
  constexpr std::optional<EjectionReason> count(const TryResult& result, const OutlierOptions& options);
  // The server's ejection has ended.
  constexpr void begin_probation() { *this = FailureStreak(probation_answers); }

  [[nodiscard]] constexpr bool on_probation() const { return probation_ != 0; }
  // A good answer changes nothing.
  [[nodiscard]] constexpr bool clean() const { return *this == FailureStreak{}; }
  constexpr FailureStreak() = default;
  friend constexpr bool operator==(const FailureStreak&, const FailureStreak&) = default;

 private:
  explicit constexpr FailureStreak(std::uint16_t probation) : probation_(probation) {}

  std::uint32_t failures_ = 0;   // in a row, of both kinds
  std::uint16_t breaks_ = 0;     // in a row
  std::uint16_t probation_ = 0;  // good answers that are still missing
};

constexpr std::optional<EjectionReason> FailureStreak::count(const TryResult& result, const OutlierOptions& options) {
  using Kind = EjectionReason::Kind;
  if (result.verdict == TryVerdict::good) {
    *this = FailureStreak(static_cast<std::uint16_t>(probation_ - std::min<std::uint16_t>(probation_, 1)));
    return std::nullopt;
  }
  failures_ += failures_ != UINT32_MAX ? 1 : 0;
  if (result.verdict == TryVerdict::error_status) {
    breaks_ = 0;
  } else {
    breaks_ += breaks_ != UINT16_MAX ? 1 : 0;
  }
  // What broke outright says more than what was answered wrongly, so it is named first; 0 as a limit is taken as 1.
  if (breaks_ >= std::max(options.breaks_in_row, 1U)) return EjectionReason{Kind::breaks_in_row, breaks_, result};
  if (failures_ >= std::max(options.failures_in_row, 1U)) return EjectionReason{Kind::failures_in_row, failures_, result};
  if (on_probation()) {
    probation_ = probation_answers;
    return EjectionReason{Kind::probation, failures_, result};
  }
  return std::nullopt;
}

}  // namespace steelyard
