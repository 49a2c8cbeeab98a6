#include "decide/balance/least_connections.hpp"

#include <compare>
#include <numeric>

namespace steelyard::balance {
namespace {

// Of active/weight, without dividing.
std::strong_ordering compare_load(const Candidate& a, const Candidate& b) {
  return std::uint64_t{a.active} * b.weight <=> std::uint64_t{b.active} * a.weight;
}

// The candidates that share the smallest load.
struct Lightest {
  std::size_t first = 0;
  std::size_t count = 0;
  std::uint64_t weight_sum = 0;
  std::uint64_t weight_common = 0;  // what their weights have in common: equal servers take turns one by one

  void start(std::size_t position, const Candidate& candidate) { *this = {position, 1, candidate.weight, candidate.weight}; }
  void join(const Candidate& candidate) {
    ++count;
    weight_sum += candidate.weight;
    weight_common = std::gcd(weight_common, std::uint64_t{candidate.weight});
  }
};

}  // namespace

std::optional<std::size_t> pick_least_connections(std::span<const Candidate> candidates, std::uint64_t cursor, Tried tried) {
  const auto may_take = [&](std::size_t i) { return candidates[i].weight != 0 && !contains(tried, i); };
  Lightest lightest;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (!may_take(i)) continue;
    const auto order = lightest.count == 0 ? std::strong_ordering::less : compare_load(candidates[i], candidates[lightest.first]);
    if (order < 0) lightest.start(i, candidates[i]);
    if (order == 0) lightest.join(candidates[i]);
  }
  if (lightest.count == 0) return std::nullopt;

  // Servers that all idle would otherwise share alike whatever their weights.
  std::uint64_t turn = cursor % (lightest.weight_sum / lightest.weight_common) * lightest.weight_common;
  for (std::size_t i = lightest.first; i < candidates.size(); ++i) {
    if (!may_take(i) || compare_load(candidates[i], candidates[lightest.first]) != 0) continue;
    if (turn < candidates[i].weight) return i;
    turn -= candidates[i].weight;
  }
  return lightest.first;
}

}  // namespace steelyard::balance
