// What a whole file must keep to beyond its single sections: check_whole of tables.hpp.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "config/limit_tables.hpp"
#include "config/tables.hpp"
#include "decide/route/check.hpp"

namespace steelyard::config {
namespace {

void check_listeners(const Node& root, const Options& options, Reading& reading) {
  const Node* list = root.find("listeners");
  if (list == nullptr) {
    reading.problem(root, R"("listeners" is missing, so nothing would be served: add "listeners: [{bind: 0.0.0.0:8080}]")");
    return;
  }
  std::map<std::string, int> lines;
  for (std::size_t i = 0; i < options.listeners.size() && i < list->items.size(); ++i) {
    if (options.listeners[i].bind.port == 0) continue;
    const std::string bind = options.listeners[i].bind.to_string();
    const auto [first, inserted] = lines.emplace(bind, list->items[i].line);
    if (inserted) continue;
    const Reading::Step in(reading, "listeners");
    const Reading::Step step(reading, i);
    reading.problem(list->items[i],
                    fmt::format("found a second listener on {}, allowed is one: the first is in line {}; remove one or change its port",
                                bind, first->second));
  }
}

// "GET,POST api.example.com/v1/* X-Canary=1"; "*" for a match of everything.
std::string name_of(const MatchOptions& match) {
  std::string name;
  for (const std::string& method : match.methods) name += (name.empty() ? "" : ",") + method;
  if (const std::string target = match.host + match.path; !target.empty()) name += (name.empty() ? "" : " ") + target;
  for (const HeaderMatch& header : match.headers) {
    name += (name.empty() ? "" : " ") + header.name + (header.value.empty() ? "" : "=" + header.value);
  }
  if (name.empty()) return "*";
  // Header values may be long or not ASCII; names may not.
  for (char& c : name) c = c >= ' ' && c < 0x7f ? c : '?';
  return name.substr(0, 240);
}

void check_route_pools(const Node& list, const Options& options, Reading& reading) {
  if (options.pools.empty()) return;
  std::vector<std::string> names;
  for (const PoolOptions& pool : options.pools) names.push_back(pool.name);
  const std::set<std::string> known(names.begin(), names.end());
  for (std::size_t i = 0; i < options.routes.size(); ++i) {
    const std::string& name = options.routes[i].pool;
    const Node* at = list.items[i].find("pool");
    if (at == nullptr || name.empty() || known.contains(name)) continue;
    const Reading::Step in(reading, "routes");
    const Reading::Step step(reading, i);
    const Reading::Step key(reading, "pool");
    reading.problem(*at, fmt::format("found the pool {}, which does not exist; allowed is {}{}", quote(name), any_of(names),
                                     did_you_mean(name, names)));
  }
}

// A pool that packets may register in has to say where its servers may be, and with `secret` what they have to show.
void check_packet_registration(const Node& at, const ListenerOptions& listener, const PoolOptions& pool, Reading& reading) {
  if (listener.packet.registration == PacketRegistration::off) return;
  const Reading::Step step(reading, "registration");
  const Node* node = at.find("registration");
  if (!pool.registration) {
    reading.problem(*node, fmt::format("found a registration for the pool {}, which does not say where its servers may be; add "
                                       "\"registration: {{networks: [10.0.0.0/8]}}\" to that pool",
                                       quote(pool.name)));
  } else if (listener.packet.registration == PacketRegistration::secret && pool.registration->token_file.empty()) {
    reading.problem(*node, fmt::format("found registration: secret, but the pool {} has no secret; add \"token_file: PATH\" to its "
                                       "`registration`",
                                       quote(pool.name)));
  } else if (listener.packet.registration == PacketRegistration::open && !listener.bind.ip.is_loopback()) {
    reading.warn(*node, fmt::format("whoever is in the networks of the pool {} may register as any of its servers, and gets their packets; "
                                    "`secret` asks for a token",
                                    quote(pool.name)));
  }
}

void check_packet_listeners(const Node& list, const Options& options, Reading& reading) {
  const Reading::Step in(reading, "listeners");
  std::vector<std::string> names;
  for (const PoolOptions& pool : options.pools) names.push_back(pool.name);
  for (std::size_t i = 0; i < options.listeners.size() && i < list.items.size(); ++i) {
    const ListenerOptions& listener = options.listeners[i];
    if (listener.protocol != Protocol::packet) continue;
    const Reading::Step step(reading, i);
    const Node* at = list.items[i].find("pool");
    if (at == nullptr) {
      reading.problem(list.items[i], fmt::format("\"pool\" is missing, where the packets go; allowed is {}: add it", any_of(names)));
      continue;
    }
    const PoolOptions* const pool = options.find_pool(listener.packet.pool);
    if (pool != nullptr && pool->policy) {
      check_packet_registration(list.items[i], listener, *pool, reading);
      continue;
    }
    const Reading::Step key(reading, "pool");
    if (pool != nullptr) {
      reading.problem(*at,
                      fmt::format("found the pool {}, which has no policy, so nobody could say which server may have which packet; add "
                                  "\"policy: {{label: privacy}}\" to it",
                                  quote(pool->name)));
    } else if (!listener.packet.pool.empty() && !names.empty()) {
      reading.problem(*at, fmt::format("found the pool {}, which does not exist; allowed is {}{}", quote(listener.packet.pool),
                                       any_of(names), did_you_mean(listener.packet.pool, names)));
    }
  }
}

// Packets take strict turns, as their clients are used to, unless the pool says otherwise.
void settle_packet_pools(const Node& root, Options& options) {
  const Node* pools = root.find("pools");
  for (const ListenerOptions& listener : options.listeners) {
    const auto pool = std::ranges::find(options.pools, listener.packet.pool, &PoolOptions::name);
    const Node* written = pools == nullptr || pool == options.pools.end() ? nullptr : pools->find(pool->name);
    if (listener.protocol != Protocol::packet || written == nullptr) continue;
    if (written->find("algorithm") == nullptr) pool->algorithm = Algorithm::round_robin;
    if (written->find("slow_start") == nullptr) pool->slow_start.window = Duration{0};
  }
}

bool any_listener(const Options& options, Protocol protocol) {
  return std::ranges::any_of(options.listeners, [&](const ListenerOptions& listener) { return listener.protocol == protocol; });
}

void check_unused_pools(const Node& root, const Options& options, Reading& reading) {
  const Node* pools = root.find("pools");
  std::set<std::string> used;
  for (const RouteOptions& route : options.routes) used.insert(route.pool);
  for (const ListenerOptions& listener : options.listeners) used.insert(listener.packet.pool);
  for (std::size_t i = 0; pools != nullptr && i < pools->entries.size(); ++i) {
    const Entry& entry = pools->entries[i];
    if (used.contains(entry.key.text)) continue;
    const Reading::Step in(reading, "pools");
    const Reading::Step step(reading, entry.key.text);
    reading.warn(entry.key, "no route leads to this pool, and no listener for packets: add one or remove the pool");
  }
}

// The routes whose match was refused. Such a match reads as one of everything: it must not be called a duplicate as well.
std::set<std::string> refused_matches(Reading& reading) {
  std::set<std::string> routes;
  for (const Problem& problem : reading.problems()) {
    const std::size_t end = problem.path.find(']');
    if (!problem.path.starts_with("routes[") || end == std::string::npos) continue;
    const std::string_view rest = std::string_view(problem.path).substr(end + 1);
    if (rest.empty() || rest.starts_with(".match")) routes.insert(problem.path.substr(0, end + 1));
  }
  return routes;
}

void check_matches(const Node& list, const Options& options, Reading& reading) {
  std::vector<MatchOptions> matches;
  std::vector<std::size_t> indices;
  const std::set<std::string> refused = refused_matches(reading);
  for (std::size_t i = 0; i < options.routes.size(); ++i) {
    if (refused.contains(fmt::format("routes[{}]", i))) continue;
    matches.push_back(options.routes[i].match);
    indices.push_back(i);
  }
  for (const DuplicateMatch& duplicate : duplicates(matches)) {
    const std::size_t first = indices[duplicate.first];
    const std::size_t second = indices[duplicate.second];
    const Reading::Step in(reading, "routes");
    const Reading::Step step(reading, second);
    reading.problem(list.items[second],
                    fmt::format("found the same match as that of routes[{}] in line {}, so this route would never be taken; change or "
                                "remove one",
                                first, list.items[first].line));
  }
}

void check_names(const Node& list, Options& options, Reading& reading) {
  std::map<std::string, std::size_t> names;
  for (std::size_t i = 0; i < options.routes.size(); ++i) {
    RouteOptions& route = options.routes[i];
    const Reading::Step in(reading, "routes");
    const Reading::Step step(reading, i);
    const bool named = list.items[i].find("name") != nullptr;
    if (!named) route.name = name_of(route.match);
    // A made name that is taken already, because it was shortened, becomes another; a written one is its author's to change.
    if (!named && names.contains(route.name)) route.name += fmt::format(" #{}", i);
    const auto [first, inserted] = names.emplace(route.name, i);
    if (inserted || route.name.empty()) continue;
    reading.problem(
        list.items[i],
        fmt::format("found the name {} a second time, allowed is once: routes[{}] in line {} has it too; give this route another "
                    "name",
                    quote(route.name), first->second, list.items[first->second].line));
  }
}

void check_routes(const Node& list, Options& options, Reading& reading) {
  if (list.kind != NodeKind::list) return;
  check_route_pools(list, options, reading);
  check_matches(list, options, reading);
  check_names(list, options, reading);
}

// Whether packets may bring servers into the pool.
bool registers_by_packet(const Options& options, const PoolOptions& pool) {
  return std::ranges::any_of(options.listeners, [&](const ListenerOptions& listener) {
    return listener.packet.pool == pool.name && listener.packet.registration != PacketRegistration::off;
  });
}

// Servers come from the file, by the admin API or by packets.
void check_admin_wanted(const Node& root, const Options& options, Reading& reading) {
  const Node* pools = root.find("pools");
  const Node* admin = root.find("admin");
  const bool has_admin = admin != nullptr && admin->text != "off";
  if (pools == nullptr || pools->kind != NodeKind::map) return;
  const Reading::Step in(reading, "pools");
  for (std::size_t i = 0; i < options.pools.size() && i < pools->entries.size(); ++i) {
    const Entry& entry = pools->entries[i];
    if (entry.value.kind != NodeKind::map) continue;
    const Reading::Step step(reading, entry.key.text);
    const bool by_packet = registers_by_packet(options, options.pools[i]);
    const Node* registration = entry.value.find("registration");
    if (registration != nullptr && registration->kind == NodeKind::map) {
      const Reading::Step deeper(reading, "registration");
      if (has_admin && !by_packet && options.pools[i].registration && options.pools[i].registration->token_file.empty()) {
        report_missing_key(*registration, "token_file", "a file's path", reading);
      } else if (!has_admin && !by_packet) {
        reading.problem(*registration,
                        "found a registration without the admin API, which servers register at: add \"admin: {bind: 127.0.0.1:9900}\" at "
                        "the top level");
      }
    } else if (!has_admin && !by_packet && entry.value.find("servers") == nullptr) {
      reading.problem(entry.value, "\"servers\" is missing, allowed is a list of servers, at least one: add it");
    }
  }
}

// Whether the label of a server holds a promise.
bool promises_something(const ServerOptions& server, const std::string& label) {
  const auto found = server.labels.find(label);
  return found != server.labels.end() && found->second.find_first_not_of(", \t") != std::string::npos;
}

void check_policy_source(const Node& policy, const PoolOptions& pool, const Options& options, Reading& reading) {
  if (pool.policy->from.kind != policy::SourceOptions::Kind::none || policy.find("from") != nullptr) return;
  const auto leads_here = std::ranges::find(options.routes, pool.name, &RouteOptions::pool);
  if (leads_here == options.routes.end()) return;
  reading.problem(policy,
                  fmt::format("\"from\" is missing, and the route {} leads HTTP requests here, of which nobody would know what they "
                              "demand; allowed is header:NAME, cookie:NAME, query:NAME, segment:NUMBER, host or json:MEMBER: add it",
                              quote(leads_here->name)));
}

void check_policies(const Node& root, const Options& options, Reading& reading) {
  const Node* pools = root.find("pools");
  if (pools == nullptr || pools->kind != NodeKind::map) return;
  const Reading::Step in(reading, "pools");
  for (std::size_t i = 0; i < options.pools.size() && i < pools->entries.size(); ++i) {
    const PoolOptions& pool = options.pools[i];
    const Node* policy = pools->entries[i].value.find("policy");
    if (!pool.policy || policy == nullptr || pool.policy->label.empty()) continue;
    const Reading::Step step(reading, pool.name);
    {
      const Reading::Step deeper(reading, "policy");
      check_policy_source(*policy, pool, options, reading);
    }
    const Node* servers = pools->entries[i].value.find("servers");
    const Reading::Step deeper(reading, "servers");
    for (std::size_t k = 0; servers != nullptr && k < pool.servers.size() && k < servers->items.size(); ++k) {
      if (promises_something(pool.servers[k], pool.policy->label)) continue;
      const Reading::Step server(reading, k);
      reading.warn(servers->items[k], fmt::format("its label {0} promises nothing, so the pool's policy gives it no traffic: add \"labels: "
                                                  "{{{0}: VALUE}}\"",
                                                  pool.policy->label));
    }
  }
}

void check_trust(const Node& root, const Options& options, Reading& reading) {
  const Node* forwarded = root.find("forwarded");
  const Node* list = forwarded == nullptr ? nullptr : forwarded->find("trusted_proxies");
  if (list == nullptr) return;
  for (std::size_t i = 0; i < options.forwarded.trusted_proxies.size() && i < list->items.size(); ++i) {
    const std::string text = options.forwarded.trusted_proxies[i].to_string();
    if (text != "0.0.0.0/0" && text != "::/0") continue;
    const Reading::Step section(reading, "forwarded");
    const Reading::Step in(reading, "trusted_proxies");
    const Reading::Step step(reading, i);
    reading.warn(list->items[i], "everybody is trusted to say who the client is: name the networks of your own proxies");
  }
}

}  // namespace

void check_whole(const Node& root, Options& options, Reading& reading) {
  check_listeners(root, options, reading);
  if (const Node* listeners = root.find("listeners")) check_packet_listeners(*listeners, options, reading);
  settle_packet_pools(root, options);
  if (root.find("pools") == nullptr) {
    reading.problem(root, "\"pools\" is missing, so requests have nowhere to go: add \"pools: {app: {servers: ['127.0.0.1:8001']}}\"");
  }
  if (const Node* list = root.find("routes")) {
    check_routes(*list, options, reading);
  } else if (!options.listeners.empty() && !any_listener(options, Protocol::http)) {
    // Without HTTP nothing is routed.
  } else if (options.pools.size() == 1) {
    RouteOptions& route = options.routes.emplace_back();
    route.name = "*";
    route.pool = options.pools.front().name;
  } else if (options.pools.size() > 1) {
    const std::string& first = options.pools.front().name;
    reading.problem(
        root, fmt::format(R"("routes" is missing, allowed is that with one pool only; add "routes: [{{match: {{path: /*}}, pool: {}}}]")",
                          first));
  }
  check_policies(root, options, reading);
  check_limits(root, options, reading);
  check_unused_pools(root, options, reading);
  check_trust(root, options, reading);
  check_admin_wanted(root, options, reading);
}

}  // namespace steelyard::config
