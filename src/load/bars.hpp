// The rows of a histogram for people: bounds that are round numbers, fine where the records are. Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "base/time.hpp"
#include "load/latency_histogram.hpp"

namespace steelyard::load {

struct Bar {
  Duration from{0};
  Duration to{0};  // Duration::max() in the last row, which has what is beyond
  std::uint64_t count = 0;
};

// At most 16 rows without gaps, from the least record to the greatest; none without records.
[[nodiscard]] std::vector<Bar> bars_of(const LatencyHistogram& histogram);

}  // namespace steelyard::load
