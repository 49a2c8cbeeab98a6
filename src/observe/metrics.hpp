// The counters of the proxy. Each worker writes its own WorkerMetrics and nobody else's; whoever wants to see them (a status
// page on any thread) asks Metrics for a snapshot, which adds the workers up. Counters of single servers live with the servers
// in upstream/. Owned by app/ for the life of the process: reloads do not reset them.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.hpp"
#include "observe/access_record.hpp"
#include "observe/counter.hpp"
#include "observe/histogram.hpp"

namespace steelyard {

// Everything that a network could grow has a limit, and every limit that was hit is counted.
enum class Limit : std::uint8_t {
  request_line_bytes,
  head_bytes,
  field_count,
  body_bytes,
  connections,
  connections_per_client,
  requests_per_connection,
  header_read_timeout,
  body_idle_timeout,
  idle_timeout,
  connect_timeout,
  first_byte_timeout,
  total_timeout,
  tunnel_idle_timeout,
  drain_timeout,
  file_descriptors,
  retry_budget,
  queue_max,
  queue_timeout,
  packet_bytes,
  used_tokens,
};
inline constexpr std::size_t limit_count = 21;
[[nodiscard]] std::string_view name(Limit limit);

inline constexpr std::uint16_t status_min = 100;
inline constexpr std::uint16_t status_max = 599;

struct alignas(64) WorkerMetrics {
  Counter requests;  // exchanges that ended, however they did
  Counter errors;    // of these, those with a status of 500 or more and those whose response broke off
  Counter request_bytes;
  Counter response_bytes;
  Gauge exchanges_active;
  Counter client_connections_accepted;
  Gauge client_connections;
  Gauge client_connections_idle;  // of these, the ones between two requests
  Counter server_connections_opened;
  Counter server_connections_reused;
  Counter server_connections_failed;
  Gauge server_connections;
  Gauge server_connections_idle;
  Counter retries;        // once more on a fresh connection to the same server
  Counter failovers;      // once more on another server
  Counter hedges;         // a second try beside one that had not failed
  Counter hedges_wasted;  // of these, those that were not the first to answer
  Counter queued;         // requests that waited for a place
  Counter tunnels;
  Counter guard_admitted;    // requests whose token allowed them, of clients that were sent here
  Counter guard_carried;     // … that their gateway carried here
  Gauge guard_active;        // of those admitted, the ones under way
  Counter guard_denied;      // … did not
  Counter guard_absent;      // … that had none
  Counter redirects;         // requests that were answered with the way to their server
  Counter policy_absent;     // requests refused because they did not say which policy they demand
  Counter policy_ambiguous;  // … because they did not say it in one way
  Counter policy_unmet;      // … because no server promises it
  Counter packets;           // of clients; each is an exchange as well
  Counter packet_setups;     // by which servers announced themselves
  Counter packet_setups_refused;
  std::array<Counter, limit_count> limits;
  std::array<Counter, status_max - status_min + 1> statuses;
  Histogram response_times;  // tunnels left out: they last as long as their users like

  // Counts an exchange at its end.
  void record(const AccessRecord& exchange) {
    requests.add();
    if (exchange.status >= 500 || exchange.outcome == Outcome::truncated) errors.add();
    if (exchange.status >= status_min && exchange.status <= status_max) statuses[exchange.status - status_min].add();
    request_bytes.add(exchange.request_bytes);
    response_bytes.add(exchange.response_bytes);
    if (exchange.outcome != Outcome::tunnel) response_times.record(exchange.duration);
  }
  void hit(Limit limit) { limits[static_cast<std::size_t>(limit)].add(); }
};

struct MetricsSnapshot {
  Duration uptime{0};
  std::uint64_t requests = 0;
  std::uint64_t errors = 0;
  std::uint64_t request_bytes = 0;
  std::uint64_t response_bytes = 0;
  std::int64_t exchanges_active = 0;
  std::uint64_t client_connections_accepted = 0;
  std::int64_t client_connections = 0;
  std::int64_t client_connections_idle = 0;
  std::uint64_t server_connections_opened = 0;
  std::uint64_t server_connections_reused = 0;
  std::uint64_t server_connections_failed = 0;
  std::int64_t server_connections = 0;
  std::int64_t server_connections_idle = 0;
  std::uint64_t retries = 0;
  std::uint64_t failovers = 0;
  std::uint64_t hedges = 0;
  std::uint64_t hedges_wasted = 0;
  std::uint64_t queued = 0;
  std::uint64_t tunnels = 0;
  std::uint64_t redirects = 0;
  std::uint64_t guard_admitted = 0;
  std::uint64_t guard_carried = 0;
  std::int64_t guard_active = 0;
  std::uint64_t guard_denied = 0;
  std::uint64_t guard_absent = 0;
  std::uint64_t policy_absent = 0;
  std::uint64_t policy_ambiguous = 0;
  std::uint64_t policy_unmet = 0;
  std::uint64_t packets = 0;
  std::uint64_t packet_setups = 0;
  std::uint64_t packet_setups_refused = 0;
  // Counted elsewhere: for the caller to add.
  std::uint64_t log_lines_dropped = 0;
  std::uint64_t reloads = 0;
  std::uint64_t reloads_refused = 0;  // the configuration had a problem
  std::array<std::uint64_t, limit_count> limits{};
  std::map<std::uint16_t, std::uint64_t> statuses;  // only those that were sent
  HistogramSnapshot response_times;
};

class Metrics {
 public:
  Metrics(std::uint32_t workers, Instant start);
  [[nodiscard]] WorkerMetrics& worker(std::uint32_t index) { return *workers_[index]; }
  [[nodiscard]] std::uint32_t workers() const { return static_cast<std::uint32_t>(workers_.size()); }
  [[nodiscard]] MetricsSnapshot snapshot(Instant now) const;
  // Counts on from what earlier processes have counted; gauges are left out. Again, when they have counted more. From any thread.
  void continue_from(const MetricsSnapshot& earlier, Instant start);
  // When the first of these processes began.
  [[nodiscard]] Instant start() const;

 private:
  std::vector<std::unique_ptr<WorkerMetrics>> workers_;
  mutable std::mutex mutex_;
  MetricsSnapshot earlier_;
  Instant start_;
};

// The body of /__metrics__: one JSON object.
[[nodiscard]] std::string metrics_json(const MetricsSnapshot& metrics);

}  // namespace steelyard
