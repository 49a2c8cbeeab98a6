// Which texts name a host.
#include "wire/http/authority.hpp"

#include <gtest/gtest.h>

#include <string>

namespace steelyard::http {
namespace authority_test {

TEST(Authority, takes_names_and_addresses) {
  for (const std::string_view text : {"a", "a.test", "A.Test.", "a.test:", "a.test:0", "a.test:65535", "127.0.0.1:80", "[::1]", "[::1]:443",
                                      "[2001:db8::1:2]", "[::ffff:1.2.3.4]:1", "x_y.test", "xn--e1afmkfd"}) {
    EXPECT_TRUE(is_authority(text)) << text;
  }
}

TEST(Authority, refuses_everything_else) {
  for (const std::string_view text :
       {"",           ":80",          ".",       ".a",        "a..b", "a.test:65536", "a.test:99999", "a.test:000080", "a.test:abc",
        "a.test:-80", "a.test:+80",   "a:80:81", "a b",       "a,b",  "u@a",          "a#b",          "a?b",           "a/b",
        "a\\b",       "\"a\"",        "<a>",     "a%41",      "a%",   "[::1",         "::1",          "[::1]x",        "[]",
        "[1]",        "[::1%25eth0]", "[v1.a]",  "[1.2.3.4]", "a;b",  "a=b",          "(a)",          "caf\xc3\xa9",   "a.test: 80"}) {
    EXPECT_FALSE(is_authority(text)) << text;
  }
  EXPECT_FALSE(is_authority(std::string(256, 'a')));
  EXPECT_TRUE(is_authority(std::string(255, 'a')));
}

TEST(Authority, demands_a_port_of_connect) {
  EXPECT_TRUE(is_authority_with_port("a:443"));
  EXPECT_TRUE(is_authority_with_port("[::1]:443"));
  for (const std::string_view text : {"a", "a:", "a:b", ":443", "[::1]"}) EXPECT_FALSE(is_authority_with_port(text)) << text;
}

}  // namespace authority_test
}  // namespace steelyard::http
