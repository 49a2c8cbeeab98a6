// What the balancing algorithms know of a server, and the shape that they share: candidates of one snapshot in, the position of one
// of them out, nullopt when all were tried. Each algorithm is one file with one function; what it must remember is an argument.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/hash.hpp"

namespace steelyard::balance {

struct Candidate {
  std::uint32_t weight = 1;   // 0: gets nothing
  std::uint32_t active = 0;   // exchanges under way
  std::uint64_t id_hash = 0;  // hash_id() of the server's id
};

// The positions that this exchange has already tried, each once. Few: a pool's tries_max.
using Tried = std::span<const std::uint32_t>;

inline bool contains(Tried tried, std::size_t position) { return std::ranges::find(tried, position) != tried.end(); }

// The same in every process and after every restart, so that a client stays with its server.
inline std::uint64_t hash_id(std::string_view id) { return KeyedHash(0)(id); }

}  // namespace steelyard::balance
