#include "decide/health/ejection.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "decide/health/failure.hpp"

namespace steelyard {
namespace {

std::string_view in_words(const TryResult& result) {
  return in_words(result.verdict == TryVerdict::broken ? result.error : ErrorKind::rejected, static_cast<std::uint16_t>(result.status));
}

}  // namespace

std::string in_words(const EjectionReason& reason) {
  using Kind = EjectionReason::Kind;
  switch (reason.kind) {
    case Kind::failures_in_row:
      return fmt::format("{} failure{} in a row, last: {}", reason.count, reason.count == 1 ? "" : "s", in_words(reason.last));
    case Kind::breaks_in_row:
      return fmt::format("{} broken {} in a row, last: {}", reason.count, reason.count == 1 ? "try" : "tries", in_words(reason.last));
    case Kind::probation: return fmt::format("failed again after an ejection: {}", in_words(reason.last));
    case Kind::error_ratio:
      return fmt::format("{:.3g} % of {} answers failed, {:.3g} % in the rest of the pool", 100 * reason.own, reason.count,
                         100 * reason.others);
    case Kind::latency:
      return fmt::format("answers took {:.1f} ms, the median of the pool is {:.1f} ms", reason.own / 1000, reason.others / 1000);
  }
  return {};
}

Duration ejection_time(const OutlierOptions& options, std::uint32_t earlier) {
  const std::uint32_t doublings = std::min(earlier, 62U);
  if (options.ejection.count() > options.ejection_max.count() >> doublings) return options.ejection_max;
  return Duration(options.ejection.count() << doublings);
}

std::uint32_t ejections_remembered(const OutlierOptions& options, std::uint32_t ejections, Duration since) {
  while (ejections > 0) {
    const Duration atonement = ejection_time(options, ejections - 1);
    if (since < atonement) break;
    since -= atonement;
    --ejections;
  }
  return ejections;
}

bool may_eject(const OutlierOptions& options, std::size_t ejected, std::size_t servers) {
  if (servers < 2 || options.ejected_share_max <= 0) return false;
  // The little more is for shares that binary fractions miss: 0.29 of 100 servers are 29.
  const auto allowed = static_cast<std::size_t>(static_cast<double>(servers) * options.ejected_share_max + 1e-9);
  return ejected < std::max<std::size_t>(allowed, 1);
}

}  // namespace steelyard
