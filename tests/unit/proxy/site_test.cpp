// What a site makes of the options of its routes.
#include "proxy/site.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace steelyard {
namespace site_test {

std::shared_ptr<Pool> pool(const std::string& name) {
  PoolOptions options;
  options.name = name;
  options.servers.push_back({"a", "127.0.0.1", 80, 1, {}});
  const SocketAddress addresses[] = {*SocketAddress::parse("127.0.0.1:80")};
  return std::make_shared<Pool>(options, addresses, 1);
}

struct SiteTest : ::testing::Test {
  RouteOptions options;
  HttpOptions http;
  TimeoutOptions timeouts;

  SiteTest() {
    options.name = "all";
    options.pool = "second";
  }
  std::unique_ptr<Site> site() {
    return std::make_unique<Site>(std::vector{options, options}, std::vector{pool("first"), pool("second")}, 1, http, timeouts);
  }
};

TEST_F(SiteTest, a_route_has_its_name_and_the_position_of_its_pool) {
  const auto built = site();
  ASSERT_EQ(built->routes.size(), 2U);
  EXPECT_EQ(built->routes[1].name, "all");
  EXPECT_EQ(built->routes[1].pool, 1U);
}

TEST_F(SiteTest, a_route_has_the_bounds_of_its_listener_where_it_names_none) {
  http.body_bytes_max = 7;
  timeouts.first_byte = 3s;
  timeouts.total = 5s;
  const auto built = site();
  EXPECT_EQ(built->routes[0].body_bytes_max, 7U);
  EXPECT_EQ(built->routes[0].first_byte_timeout, 3s);
  EXPECT_EQ(built->routes[0].total_timeout, 5s);
}

TEST_F(SiteTest, bounds_of_a_route_come_before_those_of_its_listener) {
  http.body_bytes_max = 7;
  options.body_bytes_max = 8;
  options.first_byte_timeout = 1s;
  options.total_timeout = 2s;
  const auto built = site();
  EXPECT_EQ(built->routes[0].body_bytes_max, 8U);
  EXPECT_EQ(built->routes[0].first_byte_timeout, 1s);
  EXPECT_EQ(built->routes[0].total_timeout, 2s);
}

TEST_F(SiteTest, routes_that_leave_heads_alone_share_what_says_nothing) {
  const auto built = site();
  EXPECT_EQ(built->routes[0].heads, built->routes[1].heads);
  EXPECT_TRUE(built->routes[0].heads->host.empty());
  EXPECT_TRUE(built->routes[0].heads->request_headers.empty());
  EXPECT_TRUE(built->routes[0].heads->response_headers.empty());
}

TEST_F(SiteTest, whatever_a_route_says_about_heads_is_its_own) {
  options.host = "server";
  EXPECT_EQ(site()->routes[0].heads->host, "server");
  options.host.clear();
  options.request_headers.remove = {"a"};
  EXPECT_EQ(site()->routes[0].heads->request_headers.remove.size(), 1U);
  options.request_headers = {};
  options.response_headers.add = {{"b", "1"}};
  EXPECT_EQ(site()->routes[0].heads->response_headers.add.size(), 1U);
}

}  // namespace site_test
}  // namespace steelyard
