#include "app/route_keys.hpp"

#include <fmt/format.h>

#include <map>
#include <utility>

#include "app/key_file.hpp"

namespace steelyard {

std::expected<RouteKeys, std::string> read_route_keys(const std::vector<RouteOptions>& routes) {
  RouteKeys read;
  std::map<std::string, Keys> known;
  for (std::size_t i = 0; i < routes.size(); ++i) {
    const bool signs = routes[i].mode != RouteMode::proxy;
    const std::string& path = signs ? routes[i].redirect.keys : routes[i].guard ? routes[i].guard->keys : "";
    if (path.empty()) continue;
    Keys& keys = known[path];
    if (!keys) {
      std::string warning;
      auto found = read_key_file(path, warning);
      if (!found) return std::unexpected(fmt::format("the route {}: {}", routes[i].name, found.error()));
      if (!warning.empty()) read.warnings.push_back(std::move(warning));
      keys = std::make_shared<const token::KeySet>(std::move(*found));
    }
    if (signs && keys->signer() == nullptr) {
      return std::unexpected(
          fmt::format("the route {}: the key file {} has no key that can sign, only public halves: add one with its private part \"d\"",
                      routes[i].name, path));
    }
    read.keys.resize(routes.size());
    read.keys[i] = keys;
  }
  return read;
}

}  // namespace steelyard
