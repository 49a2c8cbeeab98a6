#include "backend/digest.hpp"

#include <gtest/gtest.h>

namespace steelyard::backend {
namespace digest_test {

std::string base64(std::string_view text) { return to_base64({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}); }

TEST(Digest, base64_of_the_rfc) {
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("f"), "Zg==");
  EXPECT_EQ(base64("fo"), "Zm8=");
  EXPECT_EQ(base64("foobar"), "Zm9vYmFy");
}

TEST(Digest, counts_the_bytes_behind_base64) {
  EXPECT_EQ(base64_bytes("Zg=="), 1U);
  EXPECT_EQ(base64_bytes("Zm8="), 2U);
  EXPECT_EQ(base64_bytes("Zm9vYmFy"), 6U);
  EXPECT_EQ(base64_bytes("dGhlIHNhbXBsZSBub25jZQ=="), 16U);
  for (const char* no : {"", "Zg", "Zg=", "Z!==", "Zg==\n", " Zg="}) EXPECT_FALSE(base64_bytes(no).has_value()) << no;
}

TEST(Digest, sha256_does_not_depend_on_pieces) {
  Sha256 pieces;
  for (const char c : std::string_view("abc")) pieces.add({&c, 1});
  EXPECT_EQ(pieces.finish(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

}  // namespace digest_test
}  // namespace steelyard::backend
