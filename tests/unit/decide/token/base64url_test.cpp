#include "decide/token/base64url.hpp"

#include <gtest/gtest.h>

#include <string>

namespace steelyard::token {
namespace base64url_test {

using namespace std::string_literals;

TEST(Base64url, writes_the_examples_of_the_rfc_without_padding) {  // RFC 4648 §10
  EXPECT_EQ(to_base64url(""), "");
  EXPECT_EQ(to_base64url("f"), "Zg");
  EXPECT_EQ(to_base64url("fo"), "Zm8");
  EXPECT_EQ(to_base64url("foo"), "Zm9v");
  EXPECT_EQ(to_base64url("foobar"), "Zm9vYmFy");
  EXPECT_EQ(to_base64url("\xfb\xef\xff"), "--__");
}

TEST(Base64url, reads_what_it_writes) {
  std::string bytes;
  for (int i = 0; i < 256; ++i) {
    EXPECT_EQ(decode_base64url(to_base64url(bytes)), bytes);
    bytes.push_back(static_cast<char>(i));
  }
  EXPECT_EQ(decode_base64url("AAAA"), "\0\0\0"s);
}

TEST(Base64url, refuses_every_other_spelling) {
  for (const std::string_view text :
       {"Zg==", "Zm8=", "Z", "A", "Zm9vA", "Zm9vY", "++//", "Zm 9v", "Zm9v\n", " Zm9v", "Zm9v.", "Zm\0v", "Zm9\xc3"}) {
    EXPECT_FALSE(decode_base64url(text)) << text;
  }
}

TEST(Base64url, refuses_bits_behind_the_last_byte) {
  EXPECT_EQ(decode_base64url("Zg"), "f");
  for (const std::string_view text : {"Zh", "Zi", "Zo", "Zv", "Zm9", "Zm-", "Zm_"}) EXPECT_FALSE(decode_base64url(text)) << text;
}

}  // namespace base64url_test
}  // namespace steelyard::token
