// The same key to the same server as long as that is not too busy: a Maglev table (Eisenbud et al., Maglev, NSDI 2016, 3.4), in
// which all servers have their exact shares of slots by weight, and bounded load (Mirrokni, Thorup, Zadimoghaddam, Consistent
// Hashing with Bounded Loads, 2018): a key whose server is too busy goes to the next one in a row that is the key's own. When
// servers leave, join or change their weight, few keys move besides those that must. Pure; depends neither on the order of servers
// nor on the process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/prng.hpp"
#include "decide/balance/hashed_server.hpp"
#include "decide/balance/search.hpp"

namespace steelyard::balance {

class MaglevTable {
 public:
  // Primes, about a hundred times the servers: that keeps shares exact and the keys that move few. From one to the other nearly all
  // keys move.
  static constexpr std::size_t slots_small = 65'537;
  static constexpr std::size_t slots_large = 1'000'003;
  static constexpr std::size_t servers_small_max = 600;

  MaglevTable() = default;  // of nobody
  explicit MaglevTable(std::span<const HashedServer> servers);

  // The positions of slots' owners; none where no server has a weight.
  [[nodiscard]] std::span<const std::uint32_t> owners() const { return owners_; }

 private:
  std::vector<std::uint32_t> owners_;
};

struct LoadBound {
  std::uint64_t active = 0;  // exchanges under way in the whole pool
  std::uint64_t weight = 0;  // the sum over servers that may be taken, in the view's units
  double factor = 1.25;      // of its share, the load that a server may have; at least 1
};

// True where one exchange more is at most ⌈factor · share⌉ of the pool's exchanges, that one included.
template <SnapshotView View>
bool within(const LoadBound& bound, const View& view, std::size_t position) {
  // a + 1 ≤ ⌈x⌉ says the same as a < x.
  return static_cast<double>(view.active(position)) * static_cast<double>(bound.weight) <
         bound.factor * static_cast<double>(bound.active + 1) * static_cast<double>(view.weight(position));
}

inline constexpr int maglev_probes_max = 64;

template <SnapshotView View>
std::optional<std::size_t> pick_hash(const MaglevTable& table, std::uint64_t key_hash, const LoadBound& bound, const View& view) {
  Prng probe(key_hash);
  std::optional<std::size_t> first;
  const auto wanted = [&](std::size_t position) {
    if (!eligible(view, position)) return false;
    if (!first) first = position;
    return within(bound, view, position);
  };
  if (const auto owners = table.owners(); !owners.empty()) {
    for (int probes = 0; probes < maglev_probes_max; ++probes) {
      const std::size_t owner = owners[probe.below(owners.size())];
      if (wanted(owner)) return owner;
    }
  }
  // Not all can be above the bound, unless the numbers in it are of another moment than the view's.
  const auto found = search_positions(view, probe.next(), wanted);
  return found ? found : first;
}

}  // namespace steelyard::balance
