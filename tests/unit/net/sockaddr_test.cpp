#include "net/sockaddr.hpp"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <cstring>

namespace steelyard {
namespace sockaddr_test {

TEST(Sockaddr, ipv4_goes_there_and_back) {
  const auto address = *SocketAddress::parse("10.1.2.3:8080");
  sockaddr_storage storage;
  ASSERT_EQ(to_sockaddr(address, storage), sizeof(sockaddr_in));
  sockaddr_in v4{};
  std::memcpy(&v4, &storage, sizeof v4);
  EXPECT_EQ(v4.sin_family, AF_INET);
  EXPECT_EQ(ntohs(v4.sin_port), 8080);
  EXPECT_EQ(ntohl(v4.sin_addr.s_addr), 0x0a010203U);
  EXPECT_EQ(from_sockaddr(storage), address);
}

TEST(Sockaddr, ipv6_goes_there_and_back) {
  const auto address = *SocketAddress::parse("[2001:db8::1]:443");
  sockaddr_storage storage;
  ASSERT_EQ(to_sockaddr(address, storage), sizeof(sockaddr_in6));
  EXPECT_EQ(storage.ss_family, AF_INET6);
  EXPECT_EQ(from_sockaddr(storage), address);
}

TEST(Sockaddr, mapped_client_of_a_dual_stack_socket_is_ipv4) {
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(5000);
  v6.sin6_addr.s6_addr[10] = v6.sin6_addr.s6_addr[11] = 0xff;
  v6.sin6_addr.s6_addr[12] = 127;
  v6.sin6_addr.s6_addr[15] = 1;
  sockaddr_storage storage{};
  std::memcpy(&storage, &v6, sizeof v6);
  EXPECT_EQ(from_sockaddr(storage), SocketAddress::parse("127.0.0.1:5000"));
}

TEST(Sockaddr, other_family_is_nobody) {
  sockaddr_storage storage{};
  storage.ss_family = AF_UNIX;
  EXPECT_EQ(from_sockaddr(storage), SocketAddress{});
}

}  // namespace sockaddr_test
}  // namespace steelyard
