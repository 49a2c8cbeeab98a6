#include "decide/health/outlier.hpp"

#include <algorithm>
#include <optional>

namespace steelyard {
namespace {

using Kind = EjectionReason::Kind;

// Below this nobody notices, and what a server does beside its work decides who is slow.
constexpr double latency_distance_min_us = 1000;
// For figures that are exact in decimals: 40 % is 30 % above 10 %.
constexpr double rounding = 1e-9;

double ratio(std::uint64_t part, std::uint64_t whole) { return static_cast<double>(part) / static_cast<double>(whole); }

IntervalFigures total_of(std::span<const IntervalFigures> figures) {
  IntervalFigures total;
  for (const IntervalFigures& server : figures) {
    total.requests += server.requests;
    total.failures += server.failures;
  }
  return total;
}

std::optional<EjectionReason> by_failures(const OutlierOptions& options, const IntervalFigures& server, const IntervalFigures& total) {
  const std::uint64_t enough = std::max(options.requests_min, 1U);
  const std::uint64_t rest = total.requests - server.requests;
  if (server.requests < enough || rest < enough) return std::nullopt;
  const double own = ratio(server.failures, server.requests);
  const double others = ratio(total.failures - server.failures, rest);
  if (own <= others || own - others < options.error_ratio_distance - rounding) return std::nullopt;
  return EjectionReason{.kind = Kind::error_ratio, .count = server.requests, .own = own, .others = others};
}

bool has_latency(const OutlierOptions& options, const IntervalFigures& server) {
  return server.requests >= options.requests_min && server.latency_us != 0;
}

// 0 where nobody has one.
std::uint64_t median_latency_us(const OutlierOptions& options, std::span<const IntervalFigures> figures) {
  std::vector<std::uint64_t> latencies;
  for (const IntervalFigures& server : figures) {
    if (has_latency(options, server)) latencies.push_back(server.latency_us);
  }
  if (latencies.empty()) return 0;
  const auto middle = latencies.begin() + static_cast<std::ptrdiff_t>((latencies.size() - 1) / 2);
  std::ranges::nth_element(latencies, middle);
  return *middle;
}

std::optional<EjectionReason> by_latency(const OutlierOptions& options, const IntervalFigures& server, std::uint64_t median_us) {
  if (!options.latency_factor || !has_latency(options, server)) return std::nullopt;
  const auto own = static_cast<double>(server.latency_us);
  const auto median = static_cast<double>(median_us);
  if (own < median * *options.latency_factor - rounding || own < median + latency_distance_min_us) return std::nullopt;
  return EjectionReason{.kind = Kind::latency, .count = server.requests, .own = own, .others = median};
}

bool is_worse(const Outlier& a, const Outlier& b) {
  if (a.reason.kind != b.reason.kind) return a.reason.kind == Kind::error_ratio;
  const double a_distance = a.reason.own - a.reason.others;
  const double b_distance = b.reason.own - b.reason.others;
  return a_distance != b_distance ? a_distance > b_distance : a.position < b.position;
}

}  // namespace

std::vector<Outlier> find_outliers(const OutlierOptions& options, std::span<const IntervalFigures> figures) {
  std::vector<Outlier> outliers;
  const IntervalFigures total = total_of(figures);
  const std::uint64_t median_us = options.latency_factor ? median_latency_us(options, figures) : 0;
  for (std::size_t position = 0; position < figures.size(); ++position) {
    auto reason = by_failures(options, figures[position], total);
    if (!reason) reason = by_latency(options, figures[position], median_us);
    if (reason) outliers.push_back({position, *reason});
  }
  std::ranges::sort(outliers, is_worse);
  return outliers;
}

}  // namespace steelyard
