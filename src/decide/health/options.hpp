// What may be set about ejecting servers for what their answers show. Filled by config/, with these defaults.
#pragma once

#include <cstdint>
#include <optional>

#include "base/time.hpp"

namespace steelyard {

struct OutlierOptions {
  std::uint32_t failures_in_row = 5;       // answers of 500 and above count, too
  std::uint32_t breaks_in_row = 3;         // connections that broke and answers that did not come
  double error_ratio_distance = 0.3;       // above that of the rest of the pool; 0.3: 40 % where the others have 10 %
  std::uint32_t requests_min = 20;         // in an interval, before a ratio says anything
  std::optional<double> latency_factor{};  // times the median of the pool; nothing: latency ejects nobody
  Duration interval = 1s;                  // at which ratios and latencies are compared
  Duration ejection = 5s;                  // the first time; twice as long each time after
  Duration ejection_max = 5min;
  double ejected_share_max = 0.5;  // of the pool's servers, rounded down
};

}  // namespace steelyard
