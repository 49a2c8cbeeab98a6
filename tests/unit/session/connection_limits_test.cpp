#include "session/connection_limits.hpp"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace steelyard {
namespace connection_limits_test {

const IpAddress first = *IpAddress::parse("192.0.2.1");
const IpAddress second = *IpAddress::parse("2001:db8::2");

TEST(ConnectionLimits, the_total_is_over_all_addresses) {
  ConnectionLimits limits({.connections_max = 2});
  EXPECT_EQ(limits.enter(first), std::nullopt);
  EXPECT_EQ(limits.enter(second), std::nullopt);
  EXPECT_EQ(limits.enter(second), Limit::connections);
}

TEST(ConnectionLimits, one_over_the_limit_counts_until_it_has_left) {
  ConnectionLimits limits({.connections_max = 1});
  limits.enter(first);
  EXPECT_EQ(limits.enter(first), Limit::connections);
  limits.leave(first);
  EXPECT_EQ(limits.enter(first), Limit::connections);
  limits.leave(first);
  limits.leave(first);
  EXPECT_EQ(limits.enter(first), std::nullopt);
}

TEST(ConnectionLimits, each_address_has_its_own) {
  ConnectionLimits limits({.connections_max = 100, .connections_per_client_max = 2});
  limits.enter(first);
  EXPECT_EQ(limits.enter(first), std::nullopt);
  EXPECT_EQ(limits.enter(first), Limit::connections_per_client);
  EXPECT_EQ(limits.enter(second), std::nullopt);
  limits.leave(first);
  limits.leave(first);
  EXPECT_EQ(limits.enter(first), std::nullopt);
}

TEST(ConnectionLimits, count_right_over_several_threads) {
  ConnectionLimits limits({.connections_max = 1000, .connections_per_client_max = 4});
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i) {
        EXPECT_EQ(limits.enter(first), std::nullopt);
        limits.leave(first);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (int i = 0; i < 4; ++i) EXPECT_EQ(limits.enter(first), std::nullopt);
  EXPECT_EQ(limits.enter(first), Limit::connections_per_client);
}

}  // namespace connection_limits_test
}  // namespace steelyard
