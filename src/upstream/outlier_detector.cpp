#include "upstream/outlier_detector.hpp"

#include <algorithm>
#include <utility>

namespace steelyard {
namespace {

// How late a server that has come back may join the turns again.
constexpr Duration publish_interval = 100ms;

}  // namespace

void OutlierDetector::start() {
  for (const auto& server : pool_.servers()) seen_.push_back({server, server->totals()});
  fiber_.start(run());
}

Task<void> OutlierDetector::run() {
  Scheduler& scheduler = fiber_.scheduler();
  Instant last_comparison = scheduler.now();
  while (fiber_.cause() == Cause::none) {
    fiber_.set_deadline(scheduler.now() + publish_interval);
    co_await until_deadline();
    pool_.publish_changes(scheduler.now());
    const auto options = pool_.options();
    if (!options->outliers) seen_.clear();
    if (!options->outliers || scheduler.now() - last_comparison < options->outliers->interval) continue;
    compare(*options->outliers);
    last_comparison = scheduler.now();
  }
}

// A server that is new has done nothing yet.
void OutlierDetector::compare(const OutlierOptions& options) {
  std::vector<Seen> seen;
  std::vector<IntervalFigures> figures;
  std::size_t next = 0;  // most often they stand in the same order as before
  for (const auto& server : pool_.servers()) {
    const auto is_it = [&](const Seen& each) { return each.server == server; };
    auto before = std::find_if(seen_.begin() + static_cast<std::ptrdiff_t>(next), seen_.end(), is_it);
    if (before == seen_.end()) before = std::ranges::find_if(seen_, is_it);
    const ServerTotals now = server->totals();
    const ServerTotals then = before == seen_.end() ? now : before->totals;
    if (before != seen_.end()) next = static_cast<std::size_t>(before - seen_.begin()) + 1;
    figures.push_back(
        {now.requests - then.requests, now.failures - then.failures, static_cast<std::uint64_t>(server->load.estimate.latency_us())});
    seen.push_back({server, now});
  }
  seen_ = std::move(seen);
  const Scheduler& scheduler = fiber_.scheduler();
  for (const Outlier& outlier : find_outliers(options, figures)) {
    pool_.eject(*seen_[outlier.position].server, in_words(outlier.reason), {scheduler.now(), scheduler.unix_us() / 1'000'000});
  }
}

}  // namespace steelyard
