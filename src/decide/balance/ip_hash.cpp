#include "decide/balance/ip_hash.hpp"

#include <cmath>
#include <limits>

#include "base/prng.hpp"

namespace steelyard::balance {
namespace {

// An exponentially distributed number with the server's weight as its rate: the smallest of several such falls on each of them in
// proportion to its weight.
double distance(std::uint64_t client_hash, const Candidate& candidate) {
  const std::uint64_t mixed = Prng(client_hash ^ std::uint64_t{0x9e3779b97f4a7c15U} * candidate.id_hash).next();
  const double uniform = (static_cast<double>(mixed >> 12U) + 0.5) * 0x1p-52;  // never 0 and never 1
  return -std::log(uniform) / candidate.weight;
}

}  // namespace

std::optional<std::size_t> pick_ip_hash(std::span<const Candidate> candidates, std::uint64_t client_hash, Tried tried) {
  std::optional<std::size_t> nearest;
  double nearest_distance = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (candidates[i].weight == 0 || contains(tried, i)) continue;
    const double candidate_distance = distance(client_hash, candidates[i]);
    if (candidate_distance >= nearest_distance) continue;
    nearest = i;
    nearest_distance = candidate_distance;
  }
  return nearest;
}

}  // namespace steelyard::balance
