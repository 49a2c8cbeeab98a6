#include "observe/metrics.hpp"

#include <cmath>
#include <nlohmann/json.hpp>

namespace steelyard {

namespace {

void add_worker(MetricsSnapshot& sum, const WorkerMetrics& worker) {
  sum.requests += worker.requests.value();
  sum.errors += worker.errors.value();
  sum.request_bytes += worker.request_bytes.value();
  sum.response_bytes += worker.response_bytes.value();
  sum.exchanges_active += worker.exchanges_active.value();
  sum.client_connections_accepted += worker.client_connections_accepted.value();
  sum.client_connections += worker.client_connections.value();
  sum.client_connections_idle += worker.client_connections_idle.value();
  sum.server_connections_opened += worker.server_connections_opened.value();
  sum.server_connections_reused += worker.server_connections_reused.value();
  sum.server_connections_failed += worker.server_connections_failed.value();
  sum.server_connections += worker.server_connections.value();
  sum.server_connections_idle += worker.server_connections_idle.value();
  sum.retries += worker.retries.value();
  sum.failovers += worker.failovers.value();
  sum.hedges += worker.hedges.value();
  sum.hedges_wasted += worker.hedges_wasted.value();
  sum.queued += worker.queued.value();
  sum.tunnels += worker.tunnels.value();
  sum.redirects += worker.redirects.value();
  sum.guard_admitted += worker.guard_admitted.value();
  sum.guard_carried += worker.guard_carried.value();
  sum.guard_active += worker.guard_active.value();
  sum.guard_denied += worker.guard_denied.value();
  sum.guard_absent += worker.guard_absent.value();
  sum.policy_absent += worker.policy_absent.value();
  sum.policy_ambiguous += worker.policy_ambiguous.value();
  sum.policy_unmet += worker.policy_unmet.value();
  sum.packets += worker.packets.value();
  sum.packet_setups += worker.packet_setups.value();
  sum.packet_setups_refused += worker.packet_setups_refused.value();
  for (std::size_t i = 0; i < limit_count; ++i) sum.limits[i] += worker.limits[i].value();
  for (std::size_t i = 0; i < worker.statuses.size(); ++i) {
    const std::uint64_t count = worker.statuses[i].value();
    if (count != 0) sum.statuses[static_cast<std::uint16_t>(status_min + i)] += count;
  }
  sum.response_times.merge(worker.response_times.snapshot());
}

double rounded(double value, double steps) { return std::round(value * steps) / steps; }
double milliseconds(Duration duration) { return rounded(std::chrono::duration<double, std::milli>(duration).count(), 1000); }

}  // namespace

// The first keys are those that programs written for LoadX read, with its units: seconds, percent, milliseconds.
std::string metrics_json(const MetricsSnapshot& metrics) {
  const double uptime = std::chrono::duration<double>(metrics.uptime).count();
  const auto requests = static_cast<double>(metrics.requests);
  const HistogramSnapshot& times = metrics.response_times;
  nlohmann::ordered_json page;
  page["uptime_seconds"] = rounded(uptime, 1000);
  page["total_requests"] = metrics.requests;
  page["total_errors"] = metrics.errors;
  page["requests_per_second"] = uptime > 0 ? rounded(requests / uptime, 100) : 0.0;
  page["error_rate"] = metrics.requests != 0 ? rounded(100.0 * static_cast<double>(metrics.errors) / requests, 100) : 0.0;
  page["response_times"] = {{"average", milliseconds(times.average())}, {"minimum", milliseconds(times.minimum())},
                            {"maximum", milliseconds(times.maximum())}, {"p95", milliseconds(times.quantile(0.95))},
                            {"p50", milliseconds(times.quantile(0.5))}, {"p99", milliseconds(times.quantile(0.99))}};
  page["status_codes"] = nlohmann::ordered_json::object();
  for (const auto& [status, count] : metrics.statuses) page["status_codes"][std::to_string(status)] = count;
  page["bytes"] = {{"requests", metrics.request_bytes}, {"responses", metrics.response_bytes}};
  page["active_exchanges"] = metrics.exchanges_active;
  page["client_connections"] = {
      {"open", metrics.client_connections}, {"idle", metrics.client_connections_idle}, {"accepted", metrics.client_connections_accepted}};
  page["server_connections"] = {{"open", metrics.server_connections},
                                {"idle", metrics.server_connections_idle},
                                {"opened", metrics.server_connections_opened},
                                {"reused", metrics.server_connections_reused},
                                {"failed", metrics.server_connections_failed}};
  page["retries"] = metrics.retries;
  page["failovers"] = metrics.failovers;
  page["hedges"] = metrics.hedges;
  page["hedges_wasted"] = metrics.hedges_wasted;
  page["queued"] = metrics.queued;
  page["tunnels"] = metrics.tunnels;
  page["redirects"] = metrics.redirects;
  page["guard"] = {{"admitted", metrics.guard_admitted},
                   {"carried", metrics.guard_carried},
                   {"denied", metrics.guard_denied},
                   {"absent", metrics.guard_absent},
                   {"active", metrics.guard_active}};
  page["policy_refusals"] = {{"absent", metrics.policy_absent}, {"ambiguous", metrics.policy_ambiguous}, {"unmet", metrics.policy_unmet}};
  page["packets"] = metrics.packets;
  page["packet_setups"] = metrics.packet_setups;
  page["packet_setups_refused"] = metrics.packet_setups_refused;
  page["log_lines_dropped"] = metrics.log_lines_dropped;
  page["reloads"] = metrics.reloads;
  page["reloads_refused"] = metrics.reloads_refused;
  page["limits_hit"] = nlohmann::ordered_json::object();
  for (std::size_t i = 0; i < limit_count; ++i) page["limits_hit"][name(static_cast<Limit>(i))] = metrics.limits[i];
  return page.dump(2) + "\n";
}

Metrics::Metrics(std::uint32_t workers, Instant start) : start_(start) {
  for (std::uint32_t i = 0; i < workers; ++i) workers_.push_back(std::make_unique<WorkerMetrics>());
}

void Metrics::continue_from(const MetricsSnapshot& earlier, Instant start) {
  const std::lock_guard lock(mutex_);
  earlier_ = earlier;
  start_ = start;
  earlier_.exchanges_active = 0;
  earlier_.client_connections = earlier_.client_connections_idle = 0;
  earlier_.server_connections = earlier_.server_connections_idle = 0;
}

Instant Metrics::start() const {
  const std::lock_guard lock(mutex_);
  return start_;
}

MetricsSnapshot Metrics::snapshot(Instant now) const {
  MetricsSnapshot sum;
  {
    const std::lock_guard lock(mutex_);
    sum = earlier_;
    sum.uptime = now - start_;
  }
  for (const auto& worker : workers_) add_worker(sum, *worker);
  return sum;
}

std::string_view name(Limit limit) {
  switch (limit) {
    case Limit::request_line_bytes: return "request_line_bytes";
    case Limit::head_bytes: return "head_bytes";
    case Limit::field_count: return "field_count";
    case Limit::body_bytes: return "body_bytes";
    case Limit::connections: return "connections";
    case Limit::connections_per_client: return "connections_per_client";
    case Limit::requests_per_connection: return "requests_per_connection";
    case Limit::header_read_timeout: return "header_read_timeout";
    case Limit::body_idle_timeout: return "body_idle_timeout";
    case Limit::idle_timeout: return "idle_timeout";
    case Limit::connect_timeout: return "connect_timeout";
    case Limit::first_byte_timeout: return "first_byte_timeout";
    case Limit::total_timeout: return "total_timeout";
    case Limit::tunnel_idle_timeout: return "tunnel_idle_timeout";
    case Limit::drain_timeout: return "drain_timeout";
    case Limit::file_descriptors: return "file_descriptors";
    case Limit::retry_budget: return "retry_budget";
    case Limit::queue_max: return "queue_max";
    case Limit::queue_timeout: return "queue_timeout";
    case Limit::packet_bytes: return "packet_bytes";
    case Limit::used_tokens: return "used_tokens";
  }
  return "unknown";
}

}  // namespace steelyard
