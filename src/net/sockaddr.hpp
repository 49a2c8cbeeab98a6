// Between address values and what the socket calls take. Pure; the only place that knows sockaddr_in and sockaddr_in6.
#pragma once

#include <sys/socket.h>

#include "net/address.hpp"

namespace steelyard {

// Returns the length that belongs to the address.
socklen_t to_sockaddr(const SocketAddress& address, sockaddr_storage& out);
// A family other than IPv4 and IPv6 gives 0.0.0.0:0, which no peer has.
SocketAddress from_sockaddr(const sockaddr_storage& storage);

}  // namespace steelyard
