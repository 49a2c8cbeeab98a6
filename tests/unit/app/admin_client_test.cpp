// Where an admin API is, as people write it. What is asked there, the integration tests show.
#include "app/admin_client.hpp"

#include <gtest/gtest.h>

namespace steelyard {
namespace admin_client_test {

TEST(AdminPlace, spellings) {
  const AdminPlace there{.host = "127.0.0.1", .port = 9900};
  for (const char* text : {"127.0.0.1:9900", "http://127.0.0.1:9900", "http://127.0.0.1:9900/"}) {
    const auto place = parse_admin_place(text);
    ASSERT_TRUE(place) << text;
    EXPECT_EQ(*place, there);
    EXPECT_EQ(place->to_string(), "127.0.0.1:9900");
  }
  EXPECT_EQ(parse_admin_place("[::1]:9900")->to_string(), "[::1]:9900");
  EXPECT_EQ(parse_admin_place("proxy.internal:1")->host, "proxy.internal");
  const auto socket = parse_admin_place("unix:/run/s.sock");
  ASSERT_TRUE(socket && socket->on_socket());
  EXPECT_EQ(socket->to_string(), "unix:/run/s.sock");
}

TEST(AdminPlace, what_is_none) {
  for (const char* text : {"", "unix:", "https://127.0.0.1:1", "127.0.0.1", "127.0.0.1:0", "http://127.0.0.1:1/v1", "a b:1"}) {
    EXPECT_FALSE(parse_admin_place(text)) << text;
  }
}

TEST(AdminClient, knows_where_a_token_can_be_read_on_its_way) {
  const auto exposes = [](const char* place, const char* token) {
    return AdminClient::open(*parse_admin_place(place), token)->exposes_token();
  };
  EXPECT_TRUE(exposes("192.0.2.1:9900", "secret"));
  EXPECT_FALSE(exposes("192.0.2.1:9900", ""));
  EXPECT_FALSE(exposes("127.0.0.1:9900", "secret"));
  EXPECT_FALSE(exposes("[::1]:9900", "secret"));
  EXPECT_FALSE(exposes("unix:/run/s.sock", "secret"));
}

}  // namespace admin_client_test
}  // namespace steelyard
