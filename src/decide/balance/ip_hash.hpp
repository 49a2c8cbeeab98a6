// The same client to the same server, by weighted rendezvous hashing (Thaler, Ravishankar 1998; Schindelhauer, Schomaker 2005) over
// a table worked out once for a set of servers: clients fall on slots, and of each slot's distances to the servers, which
// nothing but the two decides, the smallest owns it. When a server leaves, only its clients move; when one joins or gets more weight,
// clients move only to it. While a server may not be taken, its clients spread over the others, and then return. Pure; depends
// neither on the order of servers nor on the process.
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

class RendezvousTable {
 public:
  // The same whatever the number of servers, because another one would move all clients. Which slots a server gets is chance: of n
  // equal servers the standard deviation of their shares is √(n/slots), 3 % for a hundred, 9 % for a thousand, 28 % for ten thousand.
  static constexpr std::size_t slots = std::size_t{1} << 17U;

  RendezvousTable() = default;  // of nobody
  explicit RendezvousTable(std::span<const HashedServer> servers);

  // The positions of slots' owners; none where no server has a weight.
  [[nodiscard]] std::span<const std::uint32_t> owners() const { return owners_; }

 private:
  std::vector<std::uint32_t> owners_;
};

inline constexpr int rendezvous_probes_max = 64;

// `client_hash` is IpAddress::hash() of the client, with the same seed everywhere.
template <SnapshotView View>
std::optional<std::size_t> pick_ip_hash(const RendezvousTable& table, std::uint64_t client_hash, const View& view) {
  Prng probe(client_hash);
  if (!table.owners().empty()) {
    for (int probes = 0; probes < rendezvous_probes_max; ++probes) {
      const std::size_t owner = table.owners()[probe.below(RendezvousTable::slots)];
      if (eligible(view, owner)) return owner;
    }
  }
  return search_positions(view, probe.next());
}

}  // namespace steelyard::balance
