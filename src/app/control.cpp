#include "app/control.hpp"

#include <algorithm>
#include <utility>

#include "admin/bodies.hpp"
#include "app/limit_status.hpp"
#include "app/service.hpp"
#include "app/status.hpp"
#include "config/load.hpp"

namespace steelyard {
namespace {

using Json = admin::Json;

constexpr const char* not_shown = "(not shown)";

Refusal no_such_pool(std::string_view name) {
  return {Refusal::Kind::no_such_pool, "", fmt::format("there is no pool \"{}\"; GET /v1/pools lists them", name)};
}

// Whether `id` is the server's, or that of a name one of whose addresses the server is at.
bool stands_for(const Server& server, std::string_view id) {
  return server.id == id || (server.id.size() > id.size() && server.id.starts_with(id) && server.id[id.size()] == '@');
}

std::vector<std::shared_ptr<Server>> those_of(std::vector<std::shared_ptr<Server>> servers, std::string_view id) {
  std::erase_if(servers, [&](const auto& server) { return !stands_for(*server, id); });
  return servers;
}

std::uint32_t active_at(const std::vector<std::shared_ptr<Server>>& servers) {
  std::uint32_t active = 0;
  for (const auto& server : servers) active += server->load.active.load(std::memory_order_relaxed);
  return active;
}

Json to_json(const config::Plan::Part& part) {
  Json changed = Json::array();
  for (const auto& each : part.changed) changed.push_back({{"name", each.name}, {"keys", each.keys}});
  return {{"added", part.added}, {"removed", part.removed}, {"changed", changed}, {"unchanged", part.unchanged}};
}

}  // namespace

Json Control::status() const {
  Json status = steelyard::describe(service_);
  status["events_last_id"] = service_.last_event_id();
  status["upgrade"] = service_.upgrade_state();
  return status;
}

Json Control::pools() const {
  Json pools = Json::array();
  for (const auto& pool : pools_.pools()) {
    Json described = steelyard::describe(*pool);
    described["servers"] = described["servers"].size();
    pools.push_back(std::move(described));
  }
  return pools;
}

Json Control::listeners() const {
  const auto view = service_.view();
  Json listeners = Json::array();
  for (std::size_t i = 0; i < view->addresses.size(); ++i) {
    const ListenerOptions& options = view->options.listeners[i];
    Json listener{{"bind", options.bind.to_string()}, {"address", view->addresses[i].to_string()}};
    if (options.protocol == Protocol::packet) {
      listener.update({{"protocol", "packet"}, {"pool", options.packet.pool}});
    } else {
      listener.update({{"protocol", "http"}, {"status_pages", options.status_pages}});
    }
    listeners.push_back(std::move(listener));
  }
  return listeners;
}

Json Control::routes() const {
  Json routes = Json::array();
  for (const RouteOptions& route : service_.view()->options.routes) {
    routes.push_back({{"name", route.name},
                      {"pool", route.pool},
                      {"match", {{"host", route.match.host}, {"path", route.match.path}, {"methods", route.match.methods}}}});
  }
  return routes;
}

Json Control::exchanges() const {
  Json exchanges = Json::array();
  for (const ExchangeView& each : service_.exchanges()) {
    exchanges.push_back({{"client", each.client.to_string()},
                         {"method", each.method},
                         {"host", each.host},
                         {"target", each.target},
                         {"route", each.route},
                         {"pool", each.pool},
                         {"server", each.server},
                         {"tries", each.tries},
                         {"status", each.status == 0 ? Json(nullptr) : Json(each.status)},
                         {"age_ms", each.age / 1ms},
                         {"request_id", each.request_id}});
  }
  return exchanges;
}

Json Control::limits() const {
  const auto view = service_.view();
  Json limits = Json::array();
  for (const auto& limit : view->site->limits) limits.push_back(steelyard::describe(*limit, moment().now, Detail::all));
  Json stores = Json::array();
  for (const Site::Store& store : view->site->stores) stores.push_back(steelyard::describe(store));
  return {{"limits", limits}, {"stores", stores}};
}

std::string Control::configuration() const {
  Options options = service_.view()->options;
  for (PoolOptions& pool : options.pools) {
    if (pool.sticky && !pool.sticky->secret.empty()) pool.sticky->secret = not_shown;
    // Fields of checks may hold credentials.
    if (!pool.health) continue;
    for (auto& [name, value] : pool.health->headers) value = not_shown;
  }
  return config::expand(options);
}

std::expected<Json, Refusal> Control::pool(std::string_view name) const {
  const auto pool = pools_.find(name);
  if (!pool) return std::unexpected(no_such_pool(name));
  return steelyard::describe(*pool);
}

std::expected<Json, Refusal> Control::servers(std::string_view name) const {
  if (!pools_.find(name)) return std::unexpected(no_such_pool(name));
  Json servers = Json::array();
  for (const WantedServer& wanted : directory_.registry().servers(name)) servers.push_back(describe(name, wanted));
  return servers;
}

std::expected<Json, Refusal> Control::server(std::string_view pool, std::string_view id) const {
  const auto wanted = directory_.registry().server(pool, id);
  if (!wanted) return std::unexpected(wanted.error());
  return describe(pool, *wanted);
}

// What is wanted of it, and how it stands: one state for each address.
Json Control::describe(std::string_view pool, const WantedServer& wanted) const {
  Json described = admin::represent(wanted, moment().now);
  if (const std::string problem = directory_.problem_with(wanted.options); !problem.empty()) described["name_problem"] = problem;
  Json states = Json::array();
  if (const auto living = pools_.find(pool)) {
    for (const auto& server : those_of(living->servers(), wanted.options.id)) {
      Json state = steelyard::describe(*server);
      state["address"] = server->address.to_string();
      for (const char* key : {"weight", "labels", "backup"}) state.erase(key);
      states.push_back(std::move(state));
    }
  }
  described["states"] = std::move(states);
  return described;
}

std::expected<Applied, Refusal> Control::settle(std::string_view pool, std::string_view id, std::expected<Applied, Refusal> applied,
                                                Directory::When when) {
  if (!applied || applied->effect == Applied::Effect::unchanged) return applied;
  const char* const type = applied->effect == Applied::Effect::created   ? "server_added"
                           : applied->effect == Applied::Effect::removed ? "server_removed"
                                                                         : "server_changed";
  service_.publish(type, {{"pool", pool}, {"id", id}, {"revision", applied->revision}});
  directory_.changed(pool, when);
  return applied;
}

std::expected<Applied, Refusal> Control::put_server(std::string_view pool, ServerOptions server, const Precondition& precondition) {
  const std::string id = server.id;
  return settle(pool, id, directory_.registry().put(pool, std::move(server), precondition), Directory::When::now);
}

std::expected<Applied, Refusal> Control::change_server(std::string_view pool, std::string_view id, const ServerChange& change,
                                                       const Precondition& precondition) {
  return settle(pool, id, directory_.registry().change(pool, id, change, precondition), Directory::When::now);
}

std::expected<admin::Departure, Refusal> Control::remove_server(std::string_view pool, std::string_view id,
                                                                const Precondition& precondition, std::optional<Duration> deadline) {
  const auto applied = settle(pool, id, directory_.registry().remove(pool, id, precondition), Directory::When::now);
  if (!applied) return std::unexpected(applied.error());
  return depart(pool, id, *applied, deadline);
}

std::expected<admin::Departure, Refusal> Control::drain_server(std::string_view pool, std::string_view id,
                                                               std::optional<Duration> deadline) {
  const ServerChange drained{.drained = true};
  const auto applied = settle(pool, id, directory_.registry().change(pool, id, drained, {}), Directory::When::now);
  if (!applied) return std::unexpected(applied.error());
  return depart(pool, id, *applied, deadline);
}

// From when on what is left there is cut.
admin::Departure Control::depart(std::string_view name, std::string_view id, const Applied& applied, std::optional<Duration> deadline) {
  const auto pool = pools_.find(name);
  if (!pool) return {applied, 0};
  auto servers = those_of(pool->servers(), id);
  for (auto& server : those_of(pool->leaving(), id)) servers.push_back(std::move(server));
  const Duration length = deadline.value_or(pool->options()->drain);
  const Instant at = length == Duration::max() ? never : moment().now + length;
  for (const auto& server : servers) pool->set_deadline(*server, at);
  return {applied, active_at(servers)};
}

std::expected<Applied, Refusal> Control::undrain_server(std::string_view pool, std::string_view id) {
  const ServerChange back{.drained = false};
  auto applied = settle(pool, id, directory_.registry().change(pool, id, back, {}), Directory::When::now);
  if (!applied) return applied;
  if (const auto living = pools_.find(pool)) {
    for (const auto& server : those_of(living->servers(), id)) living->set_deadline(*server, never);
  }
  return applied;
}

// Many servers may announce themselves at once: their pool is told once for all of them.
std::expected<Applied, Refusal> Control::announce(std::string_view pool, ServerOptions server, std::optional<Duration> lease,
                                                  std::string_view owner, std::optional<std::uint32_t> load) {
  const std::string id = server.id;
  if (const auto ip = IpAddress::parse(server.host); ip && service_.listens_on({*ip, server.port})) {
    return std::unexpected(Refusal{Refusal::Kind::not_allowed, "address",
                                   fmt::format("{}:{} is this proxy itself, which is no server of its own", server.host, server.port)});
  }
  return settle(pool, id, directory_.registry().announce(pool, std::move(server), lease, owner, load, moment()), Directory::When::soon);
}

std::expected<Applied, Refusal> Control::renew(std::string_view pool, std::string_view id, std::string_view owner,
                                               std::optional<std::uint32_t> load) {
  return settle(pool, id, directory_.registry().renew(pool, id, owner, load, moment()), Directory::When::soon);
}

// One whose pool does not have it yet is told of it there.
void Control::report(std::string_view name, std::string_view id, const LoadReport& report) {
  directory_.registry().report(name, id, report);
  const auto pool = pools_.find(name);
  if (!pool) return;
  for (const auto& server : pool->servers()) {
    if (server->id == id) pool->report(*server, report, moment().now);
  }
}

std::expected<admin::Departure, Refusal> Control::leave(std::string_view pool, std::string_view id, std::string_view owner) {
  const auto applied = settle(pool, id, directory_.registry().leave(pool, id, owner), Directory::When::now);
  if (!applied) return std::unexpected(applied.error());
  return depart(pool, id, *applied, std::nullopt);
}

std::expected<void, std::string> Control::upgrade() { return service_.upgrade(); }

std::expected<Json, admin::Problems> Control::reload() {
  auto plan = check(std::nullopt);
  if (!plan) {
    service_.refuse_reload(plan.error());
    return plan;
  }
  if (const auto reloaded = service_.reload(); !reloaded) return std::unexpected(reloaded.error());
  return plan;
}

// With what each change touches that is under way.
std::expected<Json, admin::Problems> Control::check(std::optional<std::string_view> text) const {
  const auto options = service_.load(text);
  if (!options) return std::unexpected(options.error());
  const config::Plan plan = config::compare(service_.view()->options, *options);
  Json servers = Json::object();
  for (const auto& [name, part] : plan.servers) {
    Json described = to_json(part);
    std::uint32_t active = 0;
    if (const auto pool = pools_.find(name)) {
      for (const std::string& id : part.removed) active += active_at(those_of(pool->servers(), id));
    }
    described["exchanges_at_removed"] = active;
    servers[name] = std::move(described);
  }
  Json pools = to_json(plan.pools);
  std::uint32_t active = 0;
  for (const std::string& name : plan.pools.removed) {
    if (const auto pool = pools_.find(name)) active += active_at(pool->servers());
  }
  pools["exchanges_at_removed"] = active;
  return Json{{"changes", !plan.empty()},
              {"listeners", to_json(plan.listeners)},
              {"routes", to_json(plan.routes)},
              {"pools", pools},
              {"servers", servers},
              {"keys", plan.keys},
              {"at_restart", plan.at_restart}};
}

Moment Control::moment() const { return service_.moment(); }

}  // namespace steelyard
