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

bool says_more(const RouteOptions& route) {
  return route.mode != RouteMode::proxy || route.guard || !route.host.empty() || !route.request_headers.empty() ||
         !route.response_headers.empty();
}

}  // namespace

Site::Site(std::vector<RouteOptions> route_options, std::vector<std::shared_ptr<Pool>> pool_list, std::uint64_t seed,
           HttpOptions http_options, TimeoutOptions timeout_options)
    : pools(std::move(pool_list)),
      options_of_routes(std::move(route_options)),
      router(matches_of(options_of_routes), seed),
      http(http_options),
      timeouts(timeout_options) {
  static const RouteOptions says_nothing;
  routes.reserve(options_of_routes.size());
  for (const RouteOptions& options : options_of_routes) {
    const auto pool = std::ranges::find_if(pools, [&](const auto& candidate) { return candidate->name() == options.pool; });
    SY_ASSERT(pool != pools.end());  // the configuration was checked
    routes.push_back({.name = options.name,
                      .pool = static_cast<std::size_t>(pool - pools.begin()),
                      .first_byte_timeout = options.first_byte_timeout.value_or(timeouts.first_byte),
                      .total_timeout = options.total_timeout.value_or(timeouts.total),
                      .body_bytes_max = options.body_bytes_max.value_or(http.body_bytes_max),
                      .repeat_any = options.repeat_any,
                      .mode = options.mode,
                      .guarded = options.guard.has_value(),
                      .heads = says_more(options) ? &options : &says_nothing});
  }
}

// The checked names as one list, which lists alike share.
std::uint32_t Site::add_limits(const std::vector<std::string>& names, const std::vector<std::string>& more) {
  LimitList list;
  for (const auto* const group : {&names, &more}) {
    for (const std::string& name : *group) {
      const auto limit =
          std::ranges::find(limits, name, [](const auto& candidate) -> const std::string& { return candidate->options.name; });
      SY_ASSERT(limit != limits.end());  // the configuration was checked
      if (std::ranges::find(list, limit->get()) == list.end()) list.push_back(limit->get());
    }
  }
  const auto position = static_cast<std::size_t>(std::ranges::find(limit_lists, list) - limit_lists.begin());
  if (position == limit_lists.size()) limit_lists.push_back(std::move(list));
  return static_cast<std::uint32_t>(position);
}

void Site::limit_by(std::vector<std::shared_ptr<const quota::Limit>> list, const std::vector<PoolOptions>& pool_options) {
  limits = std::move(list);
  for (Route& route : routes) {
    const RouteOptions& options = options_of_routes[static_cast<std::size_t>(&route - routes.data())];
    const auto pool = std::ranges::find(pool_options, options.pool, &PoolOptions::name);
    route.limits = add_limits(options.limits, pool == pool_options.end() ? std::vector<std::string>{} : pool->limits);
  }
}

void Site::limit_listener(std::uint32_t listener, const std::vector<std::string>& names, const std::vector<std::string>& more) {
  if (const std::uint32_t list = add_limits(names, more); list != 0) limits_of_listeners.emplace_back(listener, list);
}

}  // namespace steelyard
