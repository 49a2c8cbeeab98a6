// What a route matches. Filled by config/.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace steelyard {

struct HeaderMatch {
  std::string name;
  std::string value;  // empty: the field need only be there
};

struct MatchOptions {
  std::string host{};                  // "" any, "api.example.com", "*.example.com"; with or without ":port"
  std::string path{};                  // "" any, "/exact", "/prefix/*", or with '*' for one segment anywhere: "/users/*/posts"
  std::vector<std::string> methods{};  // empty: any
  std::vector<HeaderMatch> headers{};  // all must match
};

}  // namespace steelyard
