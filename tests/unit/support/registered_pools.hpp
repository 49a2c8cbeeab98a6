// Pools and servers for tests of the registry, in few words.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include "upstream/registry.hpp"

namespace steelyard::registered {

inline ServerOptions server(std::string id, std::string host, std::uint32_t weight = 1, std::uint16_t port = 8000) {
  return {.id = std::move(id), .host = std::move(host), .port = port, .weight = weight};
}

inline RegistrationOptions registration() {
  RegistrationOptions options;
  options.networks = {*Network::parse("10.0.0.0/8")};
  return options;
}

inline PoolOptions pool(std::string name, std::vector<ServerOptions> servers,
                        std::optional<RegistrationOptions> registration = registered::registration()) {
  PoolOptions options;
  options.name = std::move(name);
  options.servers = std::move(servers);
  options.registration = std::move(registration);
  return options;
}

inline std::vector<std::string> configure(Registry& registry, std::initializer_list<PoolOptions> pools) {
  return registry.configure(std::vector<PoolOptions>(pools));
}

inline std::vector<std::string> ids(const Registry& registry, std::string_view pool = "app") {
  std::vector<std::string> ids;
  for (const WantedServer& server : registry.servers(pool)) ids.push_back(server.options.id);
  return ids;
}

}  // namespace steelyard::registered
