// Names of servers to addresses, at start-up only: it blocks.
#pragma once

#include <expected>
#include <string>

#include "net/address.hpp"

namespace steelyard {

// An IPv4 address where the name has one, because that is where most servers listen; else IPv6. The sentence says what failed.
std::expected<SocketAddress, std::string> resolve(const std::string& host, std::uint16_t port);

}  // namespace steelyard
