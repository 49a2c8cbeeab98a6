// How much of its weight a server counts for that has just joined or come back: caches are cold and nothing is known of it yet.
// Pure: the caller says how long ago that was.
#pragma once

#include <algorithm>
#include <cmath>

#include "base/time.hpp"
#include "decide/balance/options.hpp"

namespace steelyard::balance {

// 0 to 1; rises from options.floor at age 0 to 1 when the window is over. An age below 0 counts as 0.
inline double slow_start_share(Duration age, const SlowStartOptions& options) {
  if (age >= options.window) return 1;
  const double passed = static_cast<double>(std::max(age, Duration{0}).count()) / static_cast<double>(options.window.count());
  return std::clamp(std::max(options.floor, std::pow(passed, options.curve)), 0.0, 1.0);
}

}  // namespace steelyard::balance
