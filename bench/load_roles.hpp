// What a descriptor is to the load generator; epoll hands it back with every event.
#pragma once

#include <cstdint>
#include <utility>

#include "sockets.hpp"

namespace steelyard::bench {

enum class LoadRole : std::uint16_t { listener, server, client };

inline Token token(int fd, LoadRole role, std::uint16_t life) {
  return {.fd = static_cast<std::uint32_t>(fd), .role = std::to_underlying(role), .life = life};
}

}  // namespace steelyard::bench
