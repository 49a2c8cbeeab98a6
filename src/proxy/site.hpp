// What a configuration makes the proxy do: routes, the pools that they lead to, and the rules for heads. Immutable once built,
// shared by all workers; only what the pools know of their servers changes. Owned by app/.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "decide/route/router.hpp"
#include "decide/token/key_set.hpp"
#include "proxy/options.hpp"
#include "proxy/used_tokens.hpp"
#include "quota/limit.hpp"
#include "quota/redis/store.hpp"
#include "session/options.hpp"
#include "upstream/pool.hpp"

namespace steelyard {

struct Site {
  // What requests read of a route: one cache line, because with thousands of routes hardly any is in the cache.
  struct alignas(64) Route {
    std::string_view name;
    std::size_t pool = 0;  // position in `pools`
    // The route's own, or else the listener's.
    Duration first_byte_timeout{};
    Duration total_timeout{};
    std::uint64_t body_bytes_max = unlimited;
    bool repeat_any = false;
    RouteMode mode = RouteMode::proxy;
    bool guarded = false;
    std::uint32_t limits = 0;  // position in `limit_lists`; what the route and its pool name
    // What it says about heads and redirects. All routes that leave them alone share the options of a route that says nothing.
    const RouteOptions* heads = nullptr;
  };
  static_assert(sizeof(Route) == 64);

  Site(std::vector<RouteOptions> route_options, std::vector<std::shared_ptr<Pool>> pool_list, std::uint64_t seed,
       HttpOptions http_options = {}, TimeoutOptions timeout_options = {});
  // The routes point into it.
  Site(const Site&) = delete;
  Site& operator=(const Site&) = delete;

  std::vector<std::shared_ptr<Pool>> pools;
  const std::vector<RouteOptions> options_of_routes;
  std::vector<Route> routes;
  // Which limits a request is counted by. The list at 0 is empty.
  using LimitList = std::vector<const quota::Limit*>;
  std::vector<std::shared_ptr<const quota::Limit>> limits;
  std::vector<LimitList> limit_lists{{}};
  std::vector<std::pair<std::uint32_t, std::uint32_t>> limits_of_listeners;  // by number, where there are any
  [[nodiscard]] const LimitList& limits_of(const Route* route) const { return limit_lists[route == nullptr ? 0 : route->limits]; }
  [[nodiscard]] const LimitList& limits_of_listener(std::uint32_t listener) const {
    for (const auto& [number, list] : limits_of_listeners) {
      if (number == listener) return limit_lists[list];
    }
    return limit_lists[0];
  }
  // Where limits are counted for several processes; a worker's own connections to one are in its view.
  struct Store {
    std::string name;
    quota::RedisOptions options;
    std::shared_ptr<const tls::ClientContext> tls;                // nullptr: in the clear
    std::shared_ptr<std::vector<quota::RedisCounters>> counters;  // of each worker
    // Says whether two are the same: made anew when anything of it changes.
    std::uint64_t version = 0;
  };
  std::vector<Store> stores;
  // Before it is shared: `list` and what routes and their pools name become the limits.
  void limit_by(std::vector<std::shared_ptr<const quota::Limit>> list, const std::vector<PoolOptions>& pool_options);
  void limit_listener(std::uint32_t listener, const std::vector<std::string>& names, const std::vector<std::string>& more);
  // What redirects are signed with and guards check by, by route; nullptr: nothing. Empty where no route has any.
  std::vector<std::shared_ptr<const token::KeySet>> keys_of_routes;
  [[nodiscard]] std::shared_ptr<const token::KeySet> shared_keys_of(const Route& route) const {
    return keys_of_routes.empty() ? nullptr : keys_of_routes[static_cast<std::size_t>(&route - routes.data())];
  }
  [[nodiscard]] const token::KeySet* keys_of(const Route& route) const { return shared_keys_of(route).get(); }
  Router router;
  ForwardedOptions forwarded;
  struct PacketListener {
    std::uint32_t listener = 0;  // its number
    std::size_t pool = 0;        // position in `pools`
    PacketOptions options;
  };
  std::vector<PacketListener> packet_listeners;
  // Of the process; there, where a route is guarded.
  std::shared_ptr<UsedTokens> used_tokens;
  // Resolved in `routes` when it is built, therefore not to be changed later.
  const HttpOptions http;
  const TimeoutOptions timeouts;
  // What /__health__, /__status__ and /__metrics__ answer, by that path. May take locks: operators ask, not clients.
  struct Page {
    int status = 200;
    std::string body;
  };
  std::function<Page(std::string_view path)> status_page;

 private:
  [[nodiscard]] std::uint32_t add_limits(const std::vector<std::string>& names, const std::vector<std::string>& more);
};

}  // namespace steelyard
