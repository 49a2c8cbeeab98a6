// Whether a match can ever match what its author meant; for the configuration check. Not on the request path.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "decide/route/options.hpp"

namespace steelyard {

inline constexpr std::size_t match_path_bytes_max = 1024;
inline constexpr std::size_t match_path_segments_max = 64;

// One sentence that says what is wrong and what is right, or nothing.
std::optional<std::string> match_problem(const MatchOptions& match);

// Two matches that say the same: `second` never gets a request.
struct DuplicateMatch {
  std::size_t first = 0;
  std::size_t second = 0;
};
std::vector<DuplicateMatch> duplicates(std::span<const MatchOptions> matches);

}  // namespace steelyard
