// The same client to the same server, by weighted rendezvous hashing (Thaler, Ravishankar 1998; Schindelhauer, Schomaker 2005):
// each client ranks all servers. When a server leaves, only its clients move, each to the next in its rank; when it is back, they
// return. Pure; depends neither on the order of the candidates nor on the process. Looks at every candidate.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "decide/balance/candidate.hpp"

namespace steelyard::balance {

// `client_hash` is IpAddress::hash() of the client, with the same seed everywhere.
std::optional<std::size_t> pick_ip_hash(std::span<const Candidate> candidates, std::uint64_t client_hash, Tried tried);

}  // namespace steelyard::balance
