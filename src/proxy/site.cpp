#include "proxy/site.hpp"

#include <algorithm>
#include <utility>

#include "base/assert.hpp"

namespace steelyard {
namespace {

std::vector<MatchOptions> matches_of(const std::vector<RouteOptions>& routes) {
  std::vector<MatchOptions> matches;
  for (const RouteOptions& route : routes) matches.push_back(route.match);
  return matches;
}

}  // namespace

Site::Site(std::vector<RouteOptions> route_options, std::vector<std::shared_ptr<Pool>> pool_list, std::uint64_t seed)
    : pools(std::move(pool_list)), router(matches_of(route_options), seed) {
  for (RouteOptions& options : route_options) {
    const auto pool = std::ranges::find_if(pools, [&](const auto& candidate) { return candidate->options().name == options.pool; });
    SY_ASSERT(pool != pools.end());  // the configuration was checked
    routes.push_back({std::move(options), static_cast<std::size_t>(pool - pools.begin())});
  }
}

}  // namespace steelyard
