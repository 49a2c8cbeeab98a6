// The keys by which routes sign redirects or check tokens, from the files that the routes name. Read at the start and with each reload,
// on the control thread.
#pragma once

#include <expected>
#include <memory>
#include <string>
#include <vector>

#include "decide/token/key_set.hpp"
#include "proxy/options.hpp"

namespace steelyard {

using Keys = std::shared_ptr<const token::KeySet>;

struct RouteKeys {
  std::vector<Keys> keys;  // by route, nullptr where one has none; empty where none has any
  std::vector<std::string> warnings;
};
// A route that signs needs a key that can. The sentence says which route and which file is wrong, and what to do.
std::expected<RouteKeys, std::string> read_route_keys(const std::vector<RouteOptions>& routes);

}  // namespace steelyard
