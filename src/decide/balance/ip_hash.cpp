#include "decide/balance/ip_hash.hpp"

#include <cmath>
#include <limits>

namespace steelyard::balance {
namespace {

// A server's distances to all slots, nearest first: arrivals of a Poisson process whose rate is the weight, each at a slot by
// chance. A slot's first arrival is then exponentially distributed with that rate, and the first of all servers' arrivals falls
// on each of them in proportion to its weight. Only the nearest arrivals are ever worked out, whatever the number of servers.
class Arrivals {
 public:
  Arrivals(const HashedServer& server, std::uint32_t position)
      : prng_(server.id_hash), gap_(1.0 / server.weight), id_hash_(server.id_hash), position_(position) {
    advance();
  }

  void advance() {
    constexpr int uniform_bits = 47;  // the other 17 are the slot
    const std::uint64_t bits = prng_.next();
    slot_ = bits >> uniform_bits;
    const double uniform = (static_cast<double>(bits & ((std::uint64_t{1} << uniform_bits) - 1)) + 0.5) * 0x1p-47;  // never 0 and never 1
    distance_ -= std::log(uniform) * gap_;
  }

  [[nodiscard]] std::size_t slot() const { return slot_; }
  [[nodiscard]] double distance() const { return distance_; }
  [[nodiscard]] std::uint64_t id_hash() const { return id_hash_; }
  [[nodiscard]] std::uint32_t position() const { return position_; }

 private:
  Prng prng_;
  double gap_;
  double distance_ = 0;
  std::size_t slot_ = 0;
  std::uint64_t id_hash_;
  std::uint32_t position_;
};
static_assert(RendezvousTable::slots == std::size_t{1} << 17U);

}  // namespace

RendezvousTable::RendezvousTable(std::span<const HashedServer> servers) {
  std::vector<Arrivals> arrivals;
  double weight_sum = 0;
  for (std::uint32_t i = 0; i < servers.size(); ++i) {
    if (servers[i].weight == 0) continue;
    arrivals.emplace_back(servers[i], i);
    weight_sum += servers[i].weight;
  }
  if (arrivals.empty()) return;

  owners_.resize(slots);
  std::vector<double> nearest(slots, std::numeric_limits<double>::infinity());
  std::size_t free = slots;
  // That far about one slot is left without an owner, and every slot with one has its final one: what is further away comes later.
  const double step = static_cast<double>(slots) / weight_sum;
  double horizon = std::log(static_cast<double>(slots)) * step;
  for (; free != 0; horizon += step) {
    for (Arrivals& arrival : arrivals) {
      for (; arrival.distance() < horizon; arrival.advance()) {
        double& distance = nearest[arrival.slot()];
        std::uint32_t& owner = owners_[arrival.slot()];
        if (arrival.distance() > distance) continue;
        if (arrival.distance() == distance && servers[owner].id_hash <= arrival.id_hash()) continue;
        if (distance == std::numeric_limits<double>::infinity()) --free;
        distance = arrival.distance();
        owner = arrival.position();
      }
    }
  }
}

}  // namespace steelyard::balance
