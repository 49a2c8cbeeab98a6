// Files with the keys that sign redirects, which are read at the start and with each reload. On the control thread, at once: they are
// local and small.
#pragma once

#include <expected>
#include <memory>
#include <string>
#include <vector>

#include "decide/token/key_set.hpp"
#include "proxy/options.hpp"

namespace steelyard {

using Keys = std::shared_ptr<const token::KeySet>;

// `warning` stays as it is where nothing is to be said of the file. The sentence says which file is wrong and what to do.
std::expected<Keys, std::string> read_key_file(const std::string& path, std::string& warning);

struct RouteKeys {
  std::vector<Keys> keys;  // by route, nullptr where one does not sign; empty where none does
  std::vector<std::string> warnings;
};
// Of each route that signs its redirects. Each needs a key that can sign.
std::expected<RouteKeys, std::string> read_route_keys(const std::vector<RouteOptions>& routes);

}  // namespace steelyard
