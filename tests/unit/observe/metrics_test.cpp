#include "observe/metrics.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>
#include <thread>

namespace steelyard {
namespace metrics_test {

AccessRecord answered(std::uint16_t status, Duration duration, Outcome outcome = Outcome::complete) {
  AccessRecord record;
  record.status = status;
  record.duration = duration;
  record.outcome = outcome;
  return record;
}

TEST(Metrics, adds_up_its_workers) {
  Metrics metrics(2, Instant{1'000'000'000});
  metrics.worker(0).record(answered(200, 10ms));
  metrics.worker(1).record(answered(200, 30ms));
  metrics.worker(1).client_connections.add(3);
  metrics.worker(1).client_connections.subtract();
  metrics.worker(0).hit(Limit::head_bytes);
  metrics.worker(1).hit(Limit::head_bytes);
  const MetricsSnapshot sum = metrics.snapshot(Instant{3'000'000'000});
  EXPECT_EQ(sum.uptime, 2s);
  EXPECT_EQ(sum.requests, 2U);
  EXPECT_EQ(sum.statuses, (std::map<std::uint16_t, std::uint64_t>{{200, 2}}));
  EXPECT_EQ(sum.response_times.average(), 20ms);
  EXPECT_EQ(sum.client_connections, 2);
  EXPECT_EQ(sum.limits[static_cast<std::size_t>(Limit::head_bytes)], 2U);
}

TEST(Metrics, counts_as_errors_what_the_servers_side_spoilt) {
  Metrics metrics(1, Instant{});
  WorkerMetrics& worker = metrics.worker(0);
  worker.record(answered(499, 1ms));
  worker.record(answered(404, 1ms, Outcome::refused));
  worker.record(answered(200, 1ms, Outcome::client_gone));
  worker.record(answered(0, 1ms, Outcome::client_gone));
  EXPECT_EQ(worker.errors.value(), 0U);
  worker.record(answered(500, 1ms));
  worker.record(answered(503, 1ms, Outcome::refused));
  worker.record(answered(200, 1ms, Outcome::truncated));
  EXPECT_EQ(worker.errors.value(), 3U);
  EXPECT_EQ(worker.requests.value(), 7U);
}

TEST(Metrics, counts_on_from_an_earlier_process) {
  Metrics before(1, Instant{1'000'000'000});
  before.worker(0).record(answered(200, 10ms));
  before.worker(0).client_connections.add(5);
  Metrics metrics(1, Instant{9'000'000'000});
  metrics.worker(0).record(answered(200, 30ms));
  metrics.worker(0).record(answered(404, 20ms));
  metrics.continue_from(before.snapshot(Instant{}), before.start());
  EXPECT_EQ(metrics.snapshot(Instant{10'000'000'000}).requests, 3U);
  before.worker(0).record(answered(200, 10ms));
  metrics.continue_from(before.snapshot(Instant{}), before.start());  // it has counted on
  const MetricsSnapshot sum = metrics.snapshot(Instant{10'000'000'000});
  EXPECT_EQ(sum.requests, 4U);
  EXPECT_EQ(sum.statuses, (std::map<std::uint16_t, std::uint64_t>{{200, 3}, {404, 1}}));
  EXPECT_EQ(sum.response_times.count(), 4U);
  EXPECT_EQ(sum.response_times.minimum(), 10ms);
  EXPECT_EQ(sum.client_connections, 0) << "those are not here";
  EXPECT_EQ(sum.uptime, 9s);
}

TEST(Metrics, leaves_tunnels_out_of_response_times) {
  Metrics metrics(1, Instant{});
  metrics.worker(0).record(answered(101, 3600s, Outcome::tunnel));
  EXPECT_EQ(metrics.snapshot(Instant{}).response_times.count(), 0U);
}

TEST(Metrics, survives_statuses_out_of_range) {
  Metrics metrics(1, Instant{});
  for (const int status : {0, 99, 100, 599, 600, 65535}) metrics.worker(0).record(answered(static_cast<std::uint16_t>(status), 1ms));
  EXPECT_EQ(metrics.snapshot(Instant{}).statuses, (std::map<std::uint16_t, std::uint64_t>{{100, 1}, {599, 1}}));
}

TEST(Metrics, names_every_limit_differently) {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < limit_count; ++i) names.insert(name(static_cast<Limit>(i)));
  EXPECT_EQ(names.size(), limit_count);
  EXPECT_FALSE(names.contains("unknown"));
}

TEST(MetricsJson, has_the_keys_and_units_of_loadx) {
  Metrics metrics(1, Instant{});
  for (int i = 0; i < 1488; ++i) metrics.worker(0).record(answered(200, 10ms));
  for (int i = 0; i < 12; ++i) metrics.worker(0).record(answered(502, 40ms));
  const auto page = nlohmann::json::parse(metrics_json(metrics.snapshot(Instant{300'500'000'000})));
  EXPECT_EQ(page["uptime_seconds"], 300.5);
  EXPECT_EQ(page["total_requests"], 1500);
  EXPECT_EQ(page["total_errors"], 12);
  EXPECT_EQ(page["requests_per_second"], 4.99);
  EXPECT_EQ(page["error_rate"], 0.8);
  EXPECT_EQ(page["response_times"]["average"], 10.24);
  EXPECT_EQ(page["response_times"]["minimum"], 10);
  EXPECT_EQ(page["response_times"]["maximum"], 40);
  EXPECT_NEAR(page["response_times"]["p95"], 10, 0.3);
  EXPECT_EQ(page["status_codes"], (nlohmann::json{{"200", 1488}, {"502", 12}}));
}

TEST(MetricsJson, is_zero_at_the_start) {
  const auto page = nlohmann::json::parse(metrics_json(Metrics(1, Instant{}).snapshot(Instant{})));
  EXPECT_EQ(page["requests_per_second"], 0);
  EXPECT_EQ(page["error_rate"], 0);
  EXPECT_EQ(page["response_times"]["minimum"], 0);
  EXPECT_EQ(page["status_codes"], nlohmann::json::object());
}

TEST(MetricsJson, shows_limits_connections_and_lost_lines) {
  Metrics metrics(1, Instant{});
  metrics.worker(0).hit(Limit::file_descriptors);
  metrics.worker(0).server_connections_reused.add(5);
  metrics.worker(0).retries.add(2);
  MetricsSnapshot snapshot = metrics.snapshot(Instant{});
  snapshot.log_lines_dropped = 9;
  const auto page = nlohmann::json::parse(metrics_json(snapshot));
  EXPECT_EQ(page["limits_hit"]["file_descriptors"], 1);
  EXPECT_EQ(page["limits_hit"].size(), limit_count);
  EXPECT_EQ(page["server_connections"]["reused"], 5);
  EXPECT_EQ(page["retries"], 2);
  EXPECT_EQ(page["log_lines_dropped"], 9);
}

TEST(Metrics, may_be_read_while_a_worker_counts) {
  Metrics metrics(1, Instant{});
  std::thread worker([&] {
    for (int i = 0; i < 20'000; ++i) metrics.worker(0).record(answered(200, 1ms));
  });
  std::uint64_t last = 0;
  while (last < 20'000) {
    const std::uint64_t now = metrics.snapshot(Instant{}).requests;
    EXPECT_GE(now, last);
    last = now;
  }
  worker.join();
}

}  // namespace metrics_test
}  // namespace steelyard
