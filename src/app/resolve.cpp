#include "app/resolve.hpp"

#include <fmt/format.h>
#include <netdb.h>
#include <sys/socket.h>

#include <cstring>

#include "net/sockaddr.hpp"

namespace steelyard {

std::expected<SocketAddress, std::string> resolve(const std::string& host, std::uint16_t port) {
  if (const auto ip = IpAddress::parse(host)) return SocketAddress{*ip, port};
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(host.c_str(), nullptr, &hints, &found); error != 0) {
    return std::unexpected(
        fmt::format("the name {} does not resolve ({}); check its spelling or give an address", host, gai_strerror(error)));
  }
  SocketAddress first{};
  bool any = false;
  for (const addrinfo* entry = found; entry != nullptr; entry = entry->ai_next) {
    sockaddr_storage storage{};
    std::memcpy(&storage, entry->ai_addr, entry->ai_addrlen);
    const SocketAddress address{from_sockaddr(storage).ip, port};
    if (!any || (first.ip.is_v6() && !address.ip.is_v6())) first = address;
    any = true;
  }
  freeaddrinfo(found);
  if (!any) return std::unexpected(fmt::format("the name {} has no address", host));
  return first;
}

}  // namespace steelyard
