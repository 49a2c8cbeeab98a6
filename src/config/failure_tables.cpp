// What a pool does about servers and requests that fail: checks, ejection, retries, hedging. See pool_tables.hpp.
#include "config/pool_shapes.hpp"
#include "config/pool_tables.hpp"
#include "config/ranges.hpp"

namespace steelyard::config {
namespace {

constexpr std::uint32_t row_max = 1000;

void check_health(const Node& node, HealthOptions& health, Reading& reading) {
  if (health.kind == CheckKind::http && health.method == "HEAD" && !health.body.empty()) {
    reading.problem(node, "found a body with method: HEAD, whose answers have none; write method: GET, or remove the body");
  }
  if (health.timeout <= health.interval) return;
  reading.warn(node, fmt::format("the timeout of {} is longer than the interval of {}: a server that hangs is noticed late; make the "
                                 "timeout shorter",
                                 spell_duration(health.timeout), spell_duration(health.interval)));
}

void check_outliers(const Node& node, OutlierOptions& outliers, Reading& reading) {
  if (outliers.ejection <= outliers.ejection_max) return;
  reading.problem(node, fmt::format("found ejection of {} and ejection_max of {}, allowed is a first ejection no longer than the longest: "
                                    "raise ejection_max",
                                    spell_duration(outliers.ejection), spell_duration(outliers.ejection_max)));
}

}  // namespace

Section<HealthOptions> health_table() {
  const Choice<CheckKind> kind{{{"http", CheckKind::http}, {"tcp", CheckKind::tcp}}};
  const Text method{"a method such as GET or HEAD", check_health_method};
  const Text path{"a path such as /health", check_health_path};
  const NonEmpty<Text> host{{"a host such as app.example.com", check_health_host}};
  const NonEmpty<Text> body{{"a text of up to 1024 bytes", check_health_body}};
  const auto http = [](Key<HealthOptions> key) {
    return only_with<HealthOptions>({"kind", "http", [](const HealthOptions& health) { return health.kind == CheckKind::http; }},
                                    std::move(key));
  };
  return {
      "a map with the keys of a health check",
      {
          key<HealthOptions>("kind", SY_AT(.kind), kind, "A request and its answer, or only a connection that the server accepts."),
          http(key<HealthOptions>("method", SY_AT(.method), method, "The method of the request.")),
          http(key<HealthOptions>("path", SY_AT(.path), path, "What is asked for.")),
          http(key<HealthOptions>("host", SY_AT(.host), host, "The Host field of the request.", "the server's own address")),
          http(key<HealthOptions>("headers", SY_AT(.headers), NonEmpty<CheckFields>{}, "Other fields of the request.", "none")),
          http(key<HealthOptions>("expect", SY_AT(.expect), NonEmpty<List<Statuses>>{status_list(200)}, "The answers that are healthy.")),
          http(key<HealthOptions>("drain_on", SY_AT(.drain_on), status_list(200),
                                  "The answers of a server that asks for no new traffic and is otherwise well.")),
          http(key<HealthOptions>("body", SY_AT(.body), body, "A text that a healthy answer's body contains.", "anything")),
          key<HealthOptions>("interval", SY_AT(.interval), Span{10ms, 24h}, "Between two checks of one server."),
          key<HealthOptions>("jitter", SY_AT(.jitter), Percent{0, 0.5},
                             "How far the interval varies either way, so that proxies do not check in step."),
          key<HealthOptions>("timeout", SY_AT(.timeout), Span{1ms, 1h}, "For one check."),
          key<HealthOptions>("fall", SY_AT(.fall), count(1, row_max), "Failures in a row until a server is taken out."),
          key<HealthOptions>("rise", SY_AT(.rise), count(1, row_max), "Successes in a row until it is back."),
          key<HealthOptions>("before_traffic", SY_AT(.before_traffic), Switch{},
                             "Whether a server takes no traffic before its first check has passed."),
      },
      check_health};
}

Section<OutlierOptions> outliers_table() {
  const OrWord<Decimal> factor{{1.1, 1000, Word<double>{"off", 0}}};
  return {"a map of what a server is ejected for",
          {
              key<OutlierOptions>("failures_in_row", SY_AT(.failures_in_row), count(1, row_max),
                                  "Failures in a row that eject a server; answers of 500 and above count, too."),
              key<OutlierOptions>("breaks_in_row", SY_AT(.breaks_in_row), count(1, row_max),
                                  "Connections that broke and answers that did not come, in a row, that eject it."),
              key<OutlierOptions>("error_ratio_distance", SY_AT(.error_ratio_distance), Percent{0.01, 1},
                                  "How far its share of errors lies above that of the rest of the pool when it is ejected."),
              key<OutlierOptions>("requests_min", SY_AT(.requests_min), count(1, 1'000'000),
                                  "Requests in an interval, its own and those of the rest, before shares of errors say anything."),
              key<OutlierOptions>("latency_factor", SY_AT(.latency_factor), factor,
                                  "How many times the pool's median latency ejects it; off: latency ejects nobody."),
              key<OutlierOptions>("interval", SY_AT(.interval), Span{10ms, 1h}, "At which shares and latencies are compared."),
              key<OutlierOptions>("ejection", SY_AT(.ejection), Span{10ms, 24h}, "How long the first time; twice as long each time after."),
              key<OutlierOptions>("ejection_max", SY_AT(.ejection_max), Span{10ms, 24h}, "How long at the most."),
              key<OutlierOptions>(
                  "ejected_share_max", SY_AT(.ejected_share_max), Percent{},
                  "How many of the pool's servers may be ejected at once; rounded down, but one of several always may, unless it is `0%`."),
          },
          check_outliers};
}

Section<RetryOptions> retries_table() {
  return {"a map of what is tried again",
          {
              key<RetryOptions>("tries_max", SY_AT(.tries_max), count(1, 8), "Servers tried for one request; 1: no retries."),
              key<RetryOptions>("on", SY_AT(), RetryCauses{},
                                "After what: no connection, one that ended before a byte of the answer, `try_timeout`."),
              key<RetryOptions>("on_statuses", SY_AT(.on_statuses), status_list(400),
                                "And after these answers, while a server is left to try."),
              key<RetryOptions>("try_timeout", SY_AT(.try_timeout), timeout_or_forever(),
                                "From the start of a try to the head of its answer, while a server is left to try."),
              key<RetryOptions>("budget", SY_AT(.budget), Percent{},
                                "Retries and hedges, as a share of the pool's requests in the last ten seconds."),
              key<RetryOptions>("budget_floor", SY_AT(.budget_floor), count(0, 1'000'000),
                                "That many in ten seconds are allowed however few requests there were."),
          }};
}

Section<HedgeOptions> hedging_table() {
  const OrWord<Span> after{{1ms, 1h, Word<Duration>{"p95", 0s}}};
  const Condition<HedgeOptions> measured{"after", "p95", [](const HedgeOptions& hedging) { return !hedging.after; }};
  return {"a map with the keys after and after_min",
          {
              key<HedgeOptions>("after", SY_AT(.after), after,
                                "When a second server is asked, too; p95: after the time in which 95 % of the pool's answers come."),
              only_with(measured, key<HedgeOptions>("after_min", SY_AT(.after_min), Span{0s, 1h}, "But not before that.")),
          }};
}

}  // namespace steelyard::config
