// What errors say.
#include "wire/resp/reply.hpp"

#include <gtest/gtest.h>

namespace steelyard::resp {
namespace reply_test {

TEST(ErrorCode, is_the_first_word) {
  EXPECT_EQ(error_code("NOSCRIPT No matching script. Please use EVAL."), "NOSCRIPT");
  EXPECT_EQ(error_code("LOADING"), "LOADING");
  EXPECT_EQ(error_code("ERR unknown command -READONLY"), "ERR");
  EXPECT_EQ(error_code(""), "");
}

TEST(ErrorCode, of_a_script_that_failed_is_that_of_the_command_inside) {
  EXPECT_EQ(error_code("OOM command not allowed when used memory > 'maxmemory'. script: 1a2b, on @user_script:20."), "OOM");
  EXPECT_EQ(
      error_code("ERR Error running script (call to f_1a2b): @user_script:20: -READONLY You can't write against a read only replica."),
      "READONLY");
  EXPECT_EQ(error_code("ERR Error running script (call to f_1a2b): @user_script:20: nil"), "ERR");
}

TEST(Redirect, names_slot_and_place) {
  const auto moved = parse_redirect("MOVED 3999 127.0.0.1:6381");
  ASSERT_TRUE(moved);
  EXPECT_EQ(moved->kind, Redirect::Kind::moved);
  EXPECT_EQ(moved->slot, 3999);
  EXPECT_EQ(moved->host, "127.0.0.1");
  EXPECT_EQ(moved->port, 6381);
  const auto ask = parse_redirect("ASK 16383 2001:db8::1:7000");
  ASSERT_TRUE(ask);
  EXPECT_EQ(ask->kind, Redirect::Kind::ask);
  EXPECT_EQ(ask->host, "2001:db8::1");
  const auto same_host = parse_redirect("MOVED 0 :7000");
  ASSERT_TRUE(same_host);
  EXPECT_EQ(same_host->host, "");
}

TEST(Redirect, that_says_nothing_useful_is_none) {
  for (const char* error : {"", "MOVED", "MOVED ", "MOVED 1", "MOVED 1 ", "MOVED 16384 1.2.3.4:1", "MOVED -1 1.2.3.4:1", "MOVED 1 1.2.3.4",
                            "MOVED 1 1.2.3.4:", "MOVED 1 1.2.3.4:0", "MOVED 1 1.2.3.4:65536", "MOVED x 1.2.3.4:1", "MOVE 1 1.2.3.4:1",
                            "ERR MOVED 1 1.2.3.4:1", "MOVED  1 1.2.3.4:1"}) {
    EXPECT_FALSE(parse_redirect(error)) << error;
  }
}

}  // namespace reply_test
}  // namespace steelyard::resp
