#include "upstream/outlier_detector.hpp"

#include <utility>

namespace steelyard {
namespace {

// How late a server that has come back may join the turns again.
constexpr Duration publish_interval = 100ms;

}  // namespace

OutlierDetector::OutlierDetector(Scheduler& scheduler, Pool& pool, TotalsOf totals_of)
    : pool_(pool), totals_of_(std::move(totals_of)), fiber_(scheduler, *this) {}

void OutlierDetector::start() {
  for (const auto& server : pool_.servers()) before_.push_back(totals_of_(*server));
  fiber_.start(run());
}

Task<void> OutlierDetector::run() {
  Scheduler& scheduler = fiber_.scheduler();
  const Duration interval = pool_.options().outliers ? pool_.options().outliers->interval : Duration::max();
  Instant next_comparison = scheduler.now() + interval;
  while (fiber_.cause() == Cause::none) {
    fiber_.set_deadline(scheduler.now() + publish_interval);
    co_await until_deadline();
    pool_.publish_changes(scheduler.now());
    if (scheduler.now() < next_comparison) continue;
    compare();
    next_comparison = scheduler.now() + interval;
  }
}

void OutlierDetector::compare() {
  const auto servers = pool_.servers();
  std::vector<IntervalFigures> figures;
  for (std::size_t i = 0; i < servers.size(); ++i) {
    const ServerTotals now = totals_of_(*servers[i]);
    const ServerTotals before = std::exchange(before_[i], now);
    figures.push_back({now.requests - before.requests, now.failures - before.failures,
                       static_cast<std::uint64_t>(servers[i]->load.estimate.latency_us())});
  }
  const Scheduler& scheduler = fiber_.scheduler();
  for (const Outlier& outlier : find_outliers(*pool_.options().outliers, figures)) {
    pool_.eject(*servers[outlier.position], in_words(outlier.reason), {scheduler.now(), scheduler.unix_us() / 1'000'000});
  }
}

}  // namespace steelyard
