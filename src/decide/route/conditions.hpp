// What a match asks of a request beside host and path: its method and its fields.
#pragma once

#include <string>
#include <vector>

#include "decide/route/options.hpp"
#include "decide/route/query.hpp"

namespace steelyard::route {

class Conditions {
 public:
  explicit Conditions(const MatchOptions& match) : methods_(match.methods), headers_(match.headers) {}

  [[nodiscard]] bool accept(const Query& query) const;

 private:
  std::vector<std::string> methods_;
  std::vector<HeaderMatch> headers_;
};

}  // namespace steelyard::route
