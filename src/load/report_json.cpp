#include <nlohmann/json.hpp>

#include "load/bars.hpp"
#include "load/report.hpp"

namespace steelyard::load {
namespace {

using Json = nlohmann::ordered_json;

double in_ms(Duration duration) { return std::chrono::duration<double, std::milli>(duration).count(); }
double in_seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

double percent(std::uint64_t part, std::uint64_t total) {
  return total == 0 ? 0 : 100 * static_cast<double>(part) / static_cast<double>(total);
}

Json times_of(const LatencyHistogram& histogram) {
  return {{"average", in_ms(histogram.mean())},     {"minimum", in_ms(histogram.minimum())},    {"maximum", in_ms(histogram.maximum())},
          {"p50", in_ms(histogram.quantile(0.5))},  {"p90", in_ms(histogram.quantile(0.9))},    {"p95", in_ms(histogram.quantile(0.95))},
          {"p99", in_ms(histogram.quantile(0.99))}, {"p99.9", in_ms(histogram.quantile(0.999))}};
}

Json statuses_of(const Tally& tally) {
  Json json = Json::object();
  for (std::size_t status = 0; status < tally.statuses.size(); ++status) {
    if (tally.statuses[status] > 0) json[std::to_string(status)] = tally.statuses[status];
  }
  return json;
}

Json failures_of(const Tally& tally) {
  Json json = Json::object();
  for (std::size_t i = 1; i < failure_count; ++i) {
    const auto failure = static_cast<Failure>(i);
    if (failure != Failure::abandoned) json[std::string(name(failure))] = tally.failures[i];
  }
  return json;
}

Json servers_of(const Tally& tally) {
  Json json = Json::object();
  for (const auto& [server, answers] : tally.servers) {
    json[server] = {{"requests", answers}, {"share", percent(answers, tally.answered())}};
  }
  return json;
}

Json histogram_of(const LatencyHistogram& latency) {
  Json json = Json::array();
  for (const Bar& bar : bars_of(latency)) {
    const Json to = bar.to == Duration::max() ? Json() : Json(in_ms(bar.to));
    json.push_back({{"from_ms", in_ms(bar.from)}, {"to_ms", to}, {"requests", bar.count}});
  }
  return json;
}

Json options_of(const RunOptions& options) {
  Json json;
  json["method"] = options.request.method;
  json["loop"] = options.loop == Loop::open ? "open" : "closed";
  json["concurrency"] = options.connections;
  json["threads"] = options.threads;
  json["keep_alive"] = options.request.keep_alive == KeepAlive::on;
  if (options.loop == Loop::open && options.replay.empty()) {
    json["rate"] = options.rate;
    json["arrivals"] = options.spacing == Spacing::even ? "even" : "poisson";
    json["seed"] = options.seed;
  }
  if (!options.replay.empty()) json["replay"] = options.replay;
  json["warmup_seconds"] = in_seconds(options.warmup);
  json["ramp_seconds"] = in_seconds(options.ramp);
  json["timeout_seconds"] = in_seconds(options.timeout);
  return json;
}

}  // namespace

std::string to_json(const Findings& findings) {
  const Tally& tally = findings.tally;
  const double seconds = in_seconds(findings.elapsed);
  const auto per_second = [&](std::uint64_t count) { return seconds > 0 ? static_cast<double>(count) / seconds : 0; };
  const std::uint64_t unsuccessful = tally.total() - tally.succeeded();
  Json json;
  json["url"] = findings.url;
  json["options"] = options_of(findings.options);
  json["ended_early"] = findings.ended_early;
  json["duration_seconds"] = seconds;
  json["total_requests"] = tally.total();
  json["successful_requests"] = tally.succeeded();
  json["total_errors"] = unsuccessful;
  json["error_rate"] = percent(unsuccessful, tally.total());
  json["requests_per_second"] = per_second(tally.answered());
  json["response_times"] = times_of(tally.latency);
  json["status_codes"] = statuses_of(tally);
  json["failures"] = failures_of(tally);
  json["abandoned_requests"] = tally.abandoned;
  json["body_bytes"] = tally.body_bytes;
  json["bytes_per_second"] = per_second(tally.body_bytes);
  json["connections_opened"] = tally.connections_opened;
  if (findings.options.loop == Loop::open) {
    json["queued_requests"] = tally.queued;
    json["lateness"] = times_of(tally.lateness);
  }
  json["histogram"] = histogram_of(tally.latency);
  json["servers"] = servers_of(tally);
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace steelyard::load
