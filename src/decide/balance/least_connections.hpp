// The server with the fewest exchanges under way for its weight. Those that are equal get their turns by weight. Pure: looks at
// every candidate; the cursor, a counter that the caller moves on with each pick, only decides between equals.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "decide/balance/candidate.hpp"

namespace steelyard::balance {

std::optional<std::size_t> pick_least_connections(std::span<const Candidate> candidates, std::uint64_t cursor, Tried tried);

}  // namespace steelyard::balance
