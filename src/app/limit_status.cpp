#include "app/limit_status.hpp"

#include <fmt/format.h>

#include "config/limit_tables.hpp"
#include "quota/key.hpp"

namespace steelyard {
namespace {

constexpr std::size_t top_keys_max = 20;

// Parts of a key are shown with a blank between them, and what no terminal should see as it is.
std::string shown(const quota::TopKey& top) {
  std::string text;
  for (const char c : top.key) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == quota::KeyText::separator) {
      text += ' ';
    } else if (c == quota::KeyText::instead) {
      continue;
    } else if (c == quota::KeyText::hashed) {
      text += '~';
    } else if (byte < 0x20 || byte >= 0x7f) {
      text += fmt::format("\\x{:02x}", byte);
    } else {
      text += c;
    }
  }
  return top.cut ? text + "…" : text;
}

std::string_view name(quota::RedisMode mode) {
  switch (mode) {
    case quota::RedisMode::single: return "single";
    case quota::RedisMode::sentinel: return "sentinel";
    case quota::RedisMode::cluster: return "cluster";
  }
  return "unknown";
}

double milliseconds(Duration duration) { return static_cast<double>(duration / 1us) / 1000; }

}  // namespace

nlohmann::ordered_json describe(const quota::Limit& limit, Instant now, Detail detail) {
  const quota::LimitOptions& options = limit.options;
  const quota::LimitCounts counts = limit.counts();
  nlohmann::ordered_json key = nlohmann::ordered_json::array();
  for (const quota::KeyPart& part : options.key) key.push_back(config::KeyPartText{}.write(part));
  nlohmann::ordered_json described{{"name", options.name}, {"kind", limit::name(options.rule.kind)}, {"key", key}};
  if (options.rule.kind == limit::Kind::concurrent) {
    described["active_max"] = options.rule.count;
  } else {
    described["rate"] = config::RateText{}.write(options.rule);
  }
  described["store"] = options.store.empty() ? nlohmann::ordered_json("memory") : nlohmann::ordered_json(options.store);
  described["dry_run"] = options.dry_run;
  described["passed"] = counts.passed;
  described["refused"] = counts.refused;
  described["would_refuse"] = counts.would_refuse;
  described["exempt"] = counts.exempt;
  described["unreachable"] = counts.unreachable;
  if (options.rule.kind == limit::Kind::bandwidth) described["waited_seconds"] = static_cast<double>(counts.waited_us) / 1e6;
  described["keys_max"] = options.keys_max;
  described["keys_evicted"] = counts.evicted;
  described["uncounted"] = counts.uncounted;
  if (detail == Detail::some) return described;
  // All of the memory is looked at, which takes some milliseconds.
  described["keys"] = limit.memory.table->count_keys(options.rule, now);
  if (limit.memory.leases) described["keys_leased"] = limit.memory.leases->count_keys(now);
  nlohmann::ordered_json most = nlohmann::ordered_json::array();
  for (const quota::TopKey& top : limit.memory.refused_keys->top(top_keys_max)) {
    most.push_back({{"key", shown(top)}, {"refused", top.count}, {"too_high_by_at_most", top.error}});
  }
  described["most_refused"] = most;
  return described;
}

nlohmann::ordered_json describe(const Site::Store& store) {
  std::uint64_t asked = 0;
  std::uint64_t timeouts = 0;
  std::uint64_t errors = 0;
  std::uint64_t not_asked = 0;
  std::uint64_t connects = 0;
  std::int64_t nodes = 0;
  std::int64_t nodes_away = 0;
  HistogramSnapshot round_trips;
  for (const quota::RedisCounters& counters : *store.counters) {
    asked += counters.asked.value();
    timeouts += counters.timeouts.value();
    errors += counters.errors.value();
    not_asked += counters.unavailable.value();
    connects += counters.connects.value();
    nodes = std::max(nodes, counters.nodes.value());
    nodes_away = std::max(nodes_away, counters.nodes_open.value());
    round_trips.merge(counters.round_trips.snapshot());
  }
  return {{"name", store.name},
          {"mode", name(store.options.mode)},
          {"status", nodes_away == 0      ? "answers"
                     : nodes_away < nodes ? "in part away"
                                          : "away"},
          {"nodes", nodes},
          {"nodes_away", nodes_away},
          {"asked", asked},
          {"timeouts", timeouts},
          {"errors", errors},
          {"not_asked", not_asked},
          {"connects", connects},
          {"round_trip_ms",
           {{"average", milliseconds(round_trips.average())},
            {"p50", milliseconds(round_trips.quantile(0.5))},
            {"p99", milliseconds(round_trips.quantile(0.99))},
            {"maximum", milliseconds(round_trips.maximum())}}}};
}

}  // namespace steelyard
