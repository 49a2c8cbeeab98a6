#include "upstream/name_schedule.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <utility>

namespace steelyard {
namespace {

Duration jittered(Duration delay, double jitter, Prng& prng) {
  constexpr std::uint64_t steps = 1'000'000;
  const double either_way = 2 * static_cast<double>(prng.below(steps + 1)) / steps - 1;
  return Duration(static_cast<std::int64_t>(static_cast<double>(delay.count()) * (1 + jitter * either_way)));
}

}  // namespace

bool NameSchedule::take(LookupOutcome outcome, Instant now, Prng& prng) {
  order(outcome);
  if (outcome.servers.empty() && outcome.problem.empty()) outcome.problem = "the answer holds no address";
  failures_ = outcome.problem.empty() ? 0 : failures_ + 1;
  next_ = now + jittered(delay(outcome), options_.jitter, prng);

  const NameReport before = std::exchange(report_, {});
  report_.servers_changed = !outcome.servers.empty() && outcome.servers != before.servers;
  report_.servers = report_.servers_changed ? std::move(outcome.servers) : before.servers;
  report_.problem = std::move(outcome.problem);
  // A failed lookup says nothing about what the last good one was warned of.
  report_.warning = report_.problem.empty() || !outcome.warning.empty() ? std::move(outcome.warning) : before.warning;
  return report_.servers_changed || report_.problem != before.problem || report_.warning != before.warning;
}

// One for each address, where a primary counts above a backup and more weight above less; the first `addresses_max` of them.
void NameSchedule::order(LookupOutcome& outcome) const {
  auto& servers = outcome.servers;
  std::ranges::sort(servers, [](const ResolvedServer& a, const ResolvedServer& b) {
    if (a.address != b.address) return a.address < b.address;
    return a.backup != b.backup ? b.backup : a.weight > b.weight;
  });
  const auto again = std::ranges::unique(servers, {}, &ResolvedServer::address);
  servers.erase(again.begin(), again.end());
  std::ranges::sort(servers, {}, [](const ResolvedServer& server) { return std::tie(server.backup, server.address); });
  if (servers.size() <= options_.addresses_max) return;
  servers.resize(options_.addresses_max);
  outcome.warning = fmt::format("it has more than {} addresses, and only the first {} in their order are used", options_.addresses_max,
                                options_.addresses_max);
}

Duration NameSchedule::delay(const LookupOutcome& outcome) const {
  const Duration good = std::max(options_.ttl_min, std::min(outcome.ttl, options_.ttl_max));
  if (failures_ == 0) return good;
  Duration retry = options_.retry_min;
  for (std::uint32_t i = 1; i < failures_ && retry < options_.retry_max; ++i) retry *= 2;
  return std::min(good, std::min(retry, options_.retry_max));
}

}  // namespace steelyard
