// What tables of hashes know of a server. A server is its id, whatever its address, its place in the configuration and the process.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/hash.hpp"

namespace steelyard::balance {

struct HashedServer {
  std::uint64_t id_hash = 0;  // hash_id() of the server's id
  std::uint32_t weight = 1;   // 0: gets nothing
};

// The same in every process and after every restart, so that a client stays with its server.
inline std::uint64_t hash_id(std::string_view id) { return KeyedHash(0)(id); }

}  // namespace steelyard::balance
