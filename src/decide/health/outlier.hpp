// Which servers of a pool differ from the others by what an interval's answers show. Pure: figures in, positions and reasons out.
// Failures in a row are another matter (failure_streak.hpp), and so is whether an outlier may be ejected (ejection.hpp). The idea and
// the names are those of Envoy's outlier detection; the comparison with the rest of the pool instead of a deviation from the mean is
// ours, because a mean over few servers follows its outlier.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "decide/health/ejection.hpp"

namespace steelyard {

// What one server did within one interval.
struct IntervalFigures {
  std::uint64_t requests = 0;    // tries that have ended
  std::uint64_t failures = 0;    // of these: broken, or answered with 500 and above
  std::uint64_t latency_us = 0;  // of the good answers, by one measure for all servers (mean or a quantile); 0: unknown
};

struct Outlier {
  std::size_t position = 0;  // in the figures
  EjectionReason reason;
};

// An outlier by failures: its share of failures is error_ratio_distance or more above that of all others together, where it and
// they have had requests_min each. An outlier by latency, where the options ask for it: latency_factor times the median of the
// servers with requests_min, and at least a millisecond above it; of an even number the median is the lower middle one.
//
// The worst first, those by failures before those by latency, so that who may eject only so many ejects the worst.
[[nodiscard]] std::vector<Outlier> find_outliers(const OutlierOptions& options, std::span<const IntervalFigures> figures);

}  // namespace steelyard
