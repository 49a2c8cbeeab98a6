// What a run found, as text for people and as JSON for programs. Pure.
#pragma once

#include <string>

#include "base/time.hpp"
#include "load/options.hpp"
#include "load/tally.hpp"

namespace steelyard::load {

struct Findings {
  RunOptions options;
  std::string url;
  Tally tally;
  Duration elapsed{0};  // from the first moment that counts to the end of the last request that counts
  bool ended_early = false;
};

[[nodiscard]] std::string to_text(const Findings& findings);
[[nodiscard]] std::string to_json(const Findings& findings);

}  // namespace steelyard::load
