#include "app/status.hpp"

#include <unistd.h>

#include <cmath>

#include "app/limit_status.hpp"
#include "net/epoll_loop.hpp"

namespace steelyard {

nlohmann::ordered_json describe(const Server& server) {
  const Standing standing = server.standing();
  const ServerCounts counts = server.counts();
  std::int64_t idle = 0;
  for (const ServerShard& shard : server.shards()) idle += shard.metrics.connections_idle.value();
  nlohmann::ordered_json labels = nlohmann::ordered_json::object();
  for (const auto& [key, value] : server.labels()) labels[key] = value;
  return {{"id", server.id},
          {"address", server.authority},
          {"weight", server.weight()},
          {"labels", labels},
          {"backup", server.backup()},
          {"health", standing.state},
          {"reason", standing.reason},
          {"since_unix_seconds", standing.since_unix_s},
          {"active", server.load.active.load(std::memory_order_relaxed)},
          {"remote", server.remote.value()},
          {"redirects", counts.redirects},
          {"public_url", server.public_url()},
          {"latency_ms", std::round(static_cast<double>(server.load.estimate.latency_us())) / 1000},
          {"ejections", server.ejections.load(std::memory_order_relaxed)},
          {"requests", counts.requests},
          {"failures", counts.failures},
          {"error_statuses", counts.error_statuses},
          {"connections_opened", counts.connections_opened},
          {"connections_reused", counts.connections_reused},
          {"connections_idle", idle}};
}

namespace {

std::size_t servers_up(const Pool& pool) {
  std::size_t up = 0;
  for (const auto& server : pool.servers()) up += server->takes_traffic() ? 1 : 0;
  return up;
}

Site::Page health(Service& service) {
  const auto view = service.view();
  nlohmann::ordered_json pools = nlohmann::ordered_json::object();
  bool all_served = true;
  for (const auto& pool : view->site->pools) {
    pools[pool->name()] = {{"servers_up", servers_up(*pool)}, {"servers", pool->servers().size()}};
    all_served = all_served && servers_up(*pool) > 0;
  }
  const bool draining = service.draining();
  const char* const status = draining ? "draining" : all_served ? "healthy" : "degraded";
  // 503 while draining, so that whoever sends traffic here stops; a pool without servers is not cured by restarting the proxy.
  return {draining ? 503 : 200, nlohmann::ordered_json{{"status", status}, {"pools", pools}}.dump() + "\n"};
}

// Which promises there are, and who keeps them: a value of which no server is up gets 503, however many others are.
nlohmann::ordered_json describe_policy(const Pool& pool, const std::string& label) {
  nlohmann::ordered_json values = nlohmann::ordered_json::object();
  for (const auto& server : pool.servers()) {
    for (const std::string& value : server->promises.values()) {
      nlohmann::ordered_json& kept = values.emplace(value, nlohmann::ordered_json{{"servers", 0}, {"servers_up", 0}}).first.value();
      kept["servers"] = kept["servers"].get<int>() + 1;
      if (server->takes_traffic()) kept["servers_up"] = kept["servers_up"].get<int>() + 1;
    }
  }
  return {{"label", label}, {"values", values}, {"broken_promises", pool.broken_promises()}};
}

}  // namespace

nlohmann::ordered_json describe(const Pool& pool) {
  nlohmann::ordered_json servers = nlohmann::ordered_json::array();
  for (const auto& server : pool.servers()) servers.push_back(describe(*server));
  // Those that were removed and have something to finish.
  for (const auto& server : pool.leaving()) {
    if (server->load.active.load(std::memory_order_relaxed) != 0) servers.push_back(describe(*server));
  }
  const auto options = pool.options();
  nlohmann::ordered_json described{{"name", pool.name()},
                                   {"algorithm", name(options->algorithm)},
                                   {"servers_up", servers_up(pool)},
                                   {"queued", pool.queued()},
                                   {"servers", servers}};
  if (options->policy) described["policy"] = describe_policy(pool, options->policy->label);
  return described;
}

nlohmann::ordered_json describe(const Service& service) {
  const auto view = service.view();
  const MetricsSnapshot metrics = service.metrics();
  const Instant now = monotonic_now();
  nlohmann::ordered_json pools = nlohmann::ordered_json::array();
  for (const auto& pool : view->site->pools) pools.push_back(describe(*pool));
  nlohmann::ordered_json listeners = nlohmann::ordered_json::array();
  for (const SocketAddress& address : view->addresses) listeners.push_back(address.to_string());
  nlohmann::ordered_json limits = nlohmann::ordered_json::array();
  for (const auto& limit : view->site->limits) limits.push_back(describe(*limit, now, Detail::some));
  nlohmann::ordered_json stores = nlohmann::ordered_json::array();
  for (const Site::Store& store : view->site->stores) stores.push_back(describe(store));
  return {{"status", service.draining() ? "draining" : "running"},
          {"version", STEELYARD_VERSION},
          {"pid", getpid()},
          {"uptime_seconds", std::chrono::duration<double>(metrics.uptime).count()},
          {"workers", service.worker_count()},
          {"listeners", listeners},
          {"connections",
           {{"clients", metrics.client_connections},
            {"clients_idle", metrics.client_connections_idle},
            {"servers", metrics.server_connections},
            {"servers_idle", metrics.server_connections_idle}}},
          {"exchanges_active", metrics.exchanges_active},
          {"reloads", metrics.reloads},
          {"pools", pools},
          {"limits", limits},
          {"stores", stores}};
}

Site::Page status_page(Service& service, std::string_view path) {
  if (path == "/__health__") return health(service);
  if (auto page = service.last_page(path)) return *std::move(page);
  if (path == "/__status__") return {200, describe(service).dump(2) + "\n"};
  if (!service.view()->options.metrics)
    return {404, nlohmann::ordered_json{{"error", "metrics are off: set metrics (enable_metrics) to true"}}.dump() + "\n"};
  return {200, metrics_json(service.metrics())};
}

}  // namespace steelyard
