#include "decide/balance/smooth_schedule.hpp"

#include <algorithm>
#include <functional>
#include <numeric>
#include <queue>
#include <utility>

#include "base/assert.hpp"

namespace steelyard::balance {
namespace {

// The k-th turn (from 0) of a server with weight w of a total W has a window: it comes not before k·W/w, rounded down, and ends
// not after (k+1)·W/w, rounded up. Taking whatever window is open and ends first keeps every window, because the shares add up to
// one (Baruah, Cohen, Plaxton, Varvel 1996), and keeping every window is what makes the schedule even.
struct Window {
  std::uint64_t end = 0;
  std::uint32_t server = 0;
  auto operator<=>(const Window&) const = default;
};
using FirstEnding = std::priority_queue<Window, std::vector<Window>, std::greater<>>;

void divide_by_common(std::vector<std::uint64_t>& weights) {
  std::uint64_t common = 0;
  for (const std::uint64_t weight : weights) common = std::gcd(common, weight);
  if (common > 1) {
    for (std::uint64_t& weight : weights) weight /= common;
  }
}

// Equal weights stay equal. One turn is set aside for each server, so that none rounds to nothing and the bound still holds.
void scale_down(std::vector<std::uint64_t>& weights, std::uint64_t total) {
  const std::uint64_t room = schedule_turns_max - std::min(schedule_turns_max, weights.size());
  for (std::uint64_t& weight : weights) {
    if (weight != 0) weight = std::max<std::uint64_t>(1, weight * room / total);
  }
}

std::uint64_t sum(const std::vector<std::uint64_t>& weights) { return std::accumulate(weights.begin(), weights.end(), std::uint64_t{0}); }

}  // namespace

Schedule smooth_schedule(std::span<const std::uint32_t> given) {
  std::vector<std::uint64_t> weights(given.begin(), given.end());
  divide_by_common(weights);
  if (const std::uint64_t total = sum(weights); total > schedule_turns_max) {
    scale_down(weights, total);
    divide_by_common(weights);
  }
  const std::uint64_t total = sum(weights);

  Schedule schedule;
  schedule.turns.reserve(total);
  schedule.servers = weights.size() - static_cast<std::size_t>(std::ranges::count(weights, std::uint64_t{0}));

  std::vector<std::uint64_t> turns_had(weights.size(), 0);
  FirstEnding open;
  // Servers by the turn at which their next window opens.
  std::vector<std::vector<std::uint32_t>> opening(total);
  for (std::uint32_t server = 0; server < weights.size(); ++server) {
    if (weights[server] != 0) opening[0].push_back(server);
  }
  for (std::uint64_t turn = 0; turn < total; ++turn) {
    for (const std::uint32_t server : opening[turn]) {
      const std::uint64_t weight = weights[server];
      open.push({((turns_had[server] + 1) * total + weight - 1) / weight, server});
    }
    SY_ASSERT(!open.empty());
    const std::uint32_t server = open.top().server;
    open.pop();
    schedule.turns.push_back(server);
    if (++turns_had[server] == weights[server]) continue;
    const std::uint64_t opens = turns_had[server] * total / weights[server];
    opening[std::max(opens, turn + 1)].push_back(server);
  }
  return schedule;
}

}  // namespace steelyard::balance
