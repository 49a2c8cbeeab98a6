// The three questions alone: who may ask, and in whose name.
#include "admin/access.hpp"

#include <gtest/gtest.h>

namespace steelyard::admin {
namespace access_test {

Asked asking(std::string_view authority) { return {.authority = authority, .origin = {}, .fetch_site = {}, .authorization = {}}; }

TEST(Access, knows_addresses_and_its_own_names) {
  const Access access(Reach::network, {"a.internal"}, {});
  for (const char* own :
       {"10.0.0.1", "10.0.0.1:9900", "[fe80::1]", "[::1]:1", "localhost", "LocalHost:80", "a.internal", "A.Internal.:9900"}) {
    EXPECT_FALSE(access.judge(asking(own))) << own;
  }
  for (const char* foreign : {"", "b.internal", "a.internal.evil", "xa.internal", "10.0.0.1.evil", "local", "[", "[]", "[::1"}) {
    const auto denied = access.judge(asking(foreign));
    EXPECT_TRUE(!denied || denied->status == 421) << foreign;
    if (std::string_view(foreign) != "[::1") {
      EXPECT_TRUE(denied) << foreign;
    }
  }
}

TEST(Access, compares_the_origin_with_the_whole_authority) {
  const Access access(Reach::loopback, {}, {});
  Asked asked = asking("localhost:9900");
  for (const char* foreign : {"http://localhost", "http://localhost:9901", "https://localhost:9900", "http://localhost:9900.evil",
                              "http://localhost:9900/", "null", ""}) {
    asked.origin = foreign;
    const auto denied = access.judge(asked);
    ASSERT_TRUE(denied) << foreign;
    EXPECT_EQ(denied->status, 403);
  }
  asked.origin = "http://localhost:9900";
  EXPECT_FALSE(access.judge(asked));
}

TEST(Access, says_whose_token_it_is) {
  const Access access(Reach::network, {}, {{"", digest_of("operator")}, {"app", digest_of("registrar")}});
  Asked asked = asking("localhost");
  EXPECT_EQ(access.identify(asked).error().status, 401);
  asked.authorization = "Bearer operator";
  EXPECT_EQ(access.identify(asked)->role, Caller::Role::operator_);
  asked.authorization = "Bearer registrar";
  const auto registrar = access.identify(asked);
  ASSERT_TRUE(registrar);
  EXPECT_EQ(registrar->role, Caller::Role::registrar);
  EXPECT_EQ(registrar->pool, "app");
  for (const char* wrong : {"", "Bearer", "Bearer ", "Bearer operato", "Bearer operatorx", "Bearer  ", "operator", "Basic operator"}) {
    asked.authorization = wrong;
    EXPECT_FALSE(access.identify(asked)) << wrong;
  }
}

TEST(Access, takes_everybody_of_this_machine_for_the_operator_where_there_is_no_token) {
  for (const Reach reach : {Reach::loopback, Reach::unix_socket}) {
    EXPECT_TRUE(Access(reach, {}, {}).identify(asking("x")));
    EXPECT_FALSE(Access(reach, {}, {{"", digest_of("operator")}}).identify(asking("x")));
  }
  EXPECT_FALSE(Access(Reach::network, {}, {}).identify(asking("x")));
  EXPECT_FALSE(Access(Reach::network, {}, {{"app", digest_of("registrar")}}).identify(asking("x")));
}

TEST(Access, takes_no_empty_token_for_the_digest_of_nothing) {
  const Access access(Reach::network, {}, {{"", digest_of("")}});
  Asked asked = asking("localhost");
  asked.authorization = "Basic x";
  EXPECT_FALSE(access.identify(asked));
}

TEST(TokenDigest, is_sha_256) {
  const TokenDigest digest = digest_of("abc");  // FIPS 180-2 appendix B.1
  EXPECT_EQ(digest[0], 0xba);
  EXPECT_EQ(digest[1], 0x78);
  EXPECT_EQ(digest[31], 0xad);
}

}  // namespace access_test
}  // namespace steelyard::admin
