// A snapshot of a pool as a plain array, for tests of the algorithms.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/prng.hpp"
#include "decide/balance/hashed_server.hpp"
#include "decide/balance/smooth_schedule.hpp"
#include "decide/balance/view.hpp"

namespace steelyard::balance {

struct PlainServer {
  std::uint32_t weight = 1;
  std::uint32_t active = 0;
  bool may_take = true;
};
using PlainServers = std::vector<PlainServer>;

struct PlainView {
  const PlainServers& servers;

  [[nodiscard]] std::size_t size() const { return servers.size(); }
  [[nodiscard]] std::uint32_t weight(std::size_t position) const { return servers[position].weight; }
  [[nodiscard]] std::uint32_t active(std::size_t position) const { return servers[position].active; }
  [[nodiscard]] const Estimate& estimate(std::size_t) const { return nothing_learnt; }
  [[nodiscard]] bool may_take(std::size_t position) const { return servers[position].may_take; }

  static inline const Estimate nothing_learnt;
};

inline PlainServers servers_of(const std::vector<std::uint32_t>& weights) {
  PlainServers servers;
  for (const std::uint32_t weight : weights) servers.push_back({.weight = weight});
  return servers;
}

inline std::vector<std::uint32_t> weights_of(const PlainServers& servers) {
  std::vector<std::uint32_t> weights;
  for (const PlainServer& server : servers) weights.push_back(server.weight);
  return weights;
}

// From 1 to `weight_max`, by chance.
inline std::vector<std::uint32_t> random_weights(Prng& prng, std::size_t count, std::uint64_t weight_max) {
  std::vector<std::uint32_t> weights(count);
  for (auto& weight : weights) weight = static_cast<std::uint32_t>(1 + prng.below(weight_max));
  return weights;
}

inline std::vector<HashedServer> hashed_servers(const std::vector<std::uint32_t>& weights) {
  std::vector<HashedServer> servers;
  for (const std::uint32_t weight : weights) {
    const std::size_t number = servers.size();
    servers.push_back({hash_id("10.0." + std::to_string(number / 256) + "." + std::to_string(number % 256) + ":80"), weight});
  }
  return servers;
}

inline std::uint64_t sum(const std::vector<std::uint32_t>& weights) {
  std::uint64_t total = 0;
  for (const std::uint32_t weight : weights) total += weight;
  return total;
}

// Exchanges under way, of which one by chance can end.
class Exchanges {
 public:
  Exchanges(PlainServers& servers, std::uint64_t seed) : servers_(&servers), prng_(seed) {}

  void begin(std::size_t server) {
    ++(*servers_)[server].active;
    under_way_.push_back(server);
  }
  void end_one() {
    std::swap(under_way_[prng_.below(under_way_.size())], under_way_.back());
    --(*servers_)[under_way_.back()].active;
    under_way_.pop_back();
  }
  [[nodiscard]] std::size_t count() const { return under_way_.size(); }

 private:
  PlainServers* servers_;
  Prng prng_;
  std::vector<std::size_t> under_way_;
};

}  // namespace steelyard::balance
