#include "config/plan.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "config/tables.hpp"

namespace steelyard::config {
namespace {

constexpr std::array<std::string_view, 5> needs_restart{"workers", "spin", "log", "resolve", "admin.state_file"};

bool waits_for_a_start(const std::string& key) {
  return std::ranges::any_of(needs_restart, [&](std::string_view whole) {
    return key.starts_with(whole) && (key.size() == whole.size() || key[whole.size()] == '.');
  });
}

// The paths at which two values differ, as deep as both are maps.
void find_differences(const Json& before, const Json& after, const std::string& path, std::vector<std::string>& paths) {
  if (before == after) return;
  if (!before.is_object() || !after.is_object()) return paths.push_back(path);
  const std::string prefix = path.empty() ? "" : path + ".";
  for (const auto& [name, value] : before.items()) {
    find_differences(value, after.contains(name) ? after[name] : Json(nullptr), prefix + name, paths);
  }
  for (const auto& [name, value] : after.items()) {
    if (!before.contains(name)) paths.push_back(prefix + name);
  }
}

using Named = std::vector<std::pair<std::string, Json>>;

Plan::Part compare_named(const Named& before, const Named& after) {
  Plan::Part part;
  std::map<std::string, const Json*> known;
  for (const auto& [name, value] : before) known.emplace(name, &value);
  for (const auto& [name, value] : after) {
    const auto found = known.find(name);
    if (found == known.end()) {
      part.added.push_back(name);
      continue;
    }
    Plan::Changed changed{name, {}};
    find_differences(*found->second, value, "", changed.keys);
    if (changed.keys.empty()) {
      ++part.unchanged;
    } else {
      part.changed.push_back(std::move(changed));
    }
    known.erase(found);
  }
  for (const auto& [name, value] : before) {
    if (known.contains(name)) part.removed.push_back(name);
  }
  return part;
}

// The parts of a whole configuration, each by its name.
struct Parts {
  Named listeners;
  Named routes;
  Named pools;  // without their servers
  std::map<std::string, Named> servers;
  Json rest;
};

Named named(const Json& list, const char* key) {
  Named parts;
  for (const Json& item : list) parts.emplace_back(item.at(key).get<std::string>(), item);
  return parts;
}

Parts take_apart(const Options& options) {
  Parts parts;
  Json whole = full_table().write(options);
  const auto take = [&whole](const char* key) {
    Json part = whole.contains(key) ? whole[key] : Json::array();
    whole.erase(key);
    return part;
  };
  parts.listeners = named(take("listeners"), "bind");
  const Json routes = take("routes");
  for (std::size_t i = 0; i < routes.size(); ++i) parts.routes.emplace_back(options.routes[i].name, routes[i]);
  for (const auto& [name, written] : take("pools").items()) {
    Json pool = written;
    const Json servers = pool.contains("servers") ? pool["servers"] : Json::array();
    pool.erase("servers");
    const auto of = std::ranges::find(options.pools, name, &PoolOptions::name);
    for (std::size_t i = 0; i < servers.size() && of != options.pools.end(); ++i) {
      parts.servers[name].emplace_back(of->servers[i].id, servers[i]);
    }
    parts.pools.emplace_back(name, std::move(pool));
  }
  parts.rest = std::move(whole);
  return parts;
}

}  // namespace

Plan compare(const Options& before, const Options& after) {
  const Parts old_parts = take_apart(before);
  const Parts new_parts = take_apart(after);
  Plan plan;
  plan.listeners = compare_named(old_parts.listeners, new_parts.listeners);
  plan.routes = compare_named(old_parts.routes, new_parts.routes);
  plan.pools = compare_named(old_parts.pools, new_parts.pools);
  for (const auto& [pool, written] : new_parts.pools) {
    const bool is_new = std::ranges::find(plan.pools.added, pool) != plan.pools.added.end();
    const auto servers_of = [&pool](const Parts& parts) {
      const auto found = parts.servers.find(pool);
      return found == parts.servers.end() ? Named{} : found->second;
    };
    Plan::Part part = compare_named(servers_of(old_parts), servers_of(new_parts));
    if (!is_new && !part.empty()) plan.servers.emplace(pool, std::move(part));
  }
  find_differences(old_parts.rest, new_parts.rest, "", plan.keys);
  for (const std::string& key : plan.keys) {
    if (waits_for_a_start(key)) plan.at_restart.push_back(key);
  }
  return plan;
}

}  // namespace steelyard::config
