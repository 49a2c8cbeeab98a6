// What a configuration makes the proxy do: routes, the pools that they lead to, and the rules for heads. Immutable once built,
// shared by all workers; only what the pools know of their servers changes. Owned by app/.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "decide/route/router.hpp"
#include "proxy/options.hpp"
#include "session/options.hpp"
#include "upstream/pool.hpp"

namespace steelyard {

struct Site {
  struct Route {
    RouteOptions options;
    std::size_t pool = 0;  // position in `pools`
  };

  Site(std::vector<RouteOptions> route_options, std::vector<std::shared_ptr<Pool>> pool_list, std::uint64_t seed);

  std::vector<std::shared_ptr<Pool>> pools;
  std::vector<Route> routes;
  Router router;
  ForwardedOptions forwarded;
  HttpOptions http;
  TimeoutOptions timeouts;
  // The bodies of /__health__, /__status__ and /__metrics__, by the name in the middle. Empty where a listener has none. May
  // take locks: operators ask, not clients.
  struct Page {
    int status = 200;
    std::string body;
  };
  std::function<Page(std::string_view name)> status_page;
};

}  // namespace steelyard
