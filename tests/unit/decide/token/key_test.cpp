#include "decide/token/key.hpp"

#include <gtest/gtest.h>

#include "decide/token/base64url.hpp"

namespace steelyard::token {
namespace key_test {

const std::string secret(32, 's');

TEST(Key, signs_as_the_rfcs_show) {
  // RFC 7515 appendix A.1.
  const std::string key =
      decode_base64url("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow").value();
  EXPECT_EQ(to_base64url(Key::from_secret("a", key)->sign("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9."
                                                          "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"
                                                          "cGxlLmNvbS9pc19yb290Ijp0cnVlfQ")),
            "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
  // RFC 8037 appendix A.4.
  const std::string pair = decode_base64url("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").value();
  EXPECT_EQ(to_base64url(Key::from_private("b", pair)->sign("eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc")),
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg");
}

TEST(Key, knows_its_own_signature_and_no_other) {
  for (const Key& key : {Key::from_secret("a", secret).value(), Key::from_private("a", secret).value()}) {
    const std::string signature = key.sign("text");
    EXPECT_TRUE(key.signed_by_this("text", signature));
    EXPECT_FALSE(key.signed_by_this("Text", signature));
    EXPECT_FALSE(key.signed_by_this("text", ""));
    EXPECT_FALSE(key.signed_by_this("text", signature + '\0'));
    EXPECT_FALSE(key.signed_by_this("text", std::string_view(signature).substr(1)));
    for (std::size_t i = 0; i < 8 * signature.size(); ++i) {
      std::string flipped = signature;
      flipped[i / 8] = static_cast<char>(flipped[i / 8] ^ (1 << i % 8));
      EXPECT_FALSE(key.signed_by_this("text", flipped)) << "bit " << i;
    }
  }
}

TEST(Key, copies_sign_alike_and_outlive_the_first) {
  auto key = Key::from_secret("a", secret);
  const std::string signature = key->sign("text");
  const Key copy = *key;
  key = Key::from_private("b", secret);
  EXPECT_EQ(copy.sign("text"), signature);
  EXPECT_EQ(copy.sign("text"), signature) << "a use leaves nothing behind";
  EXPECT_EQ(copy.algorithm(), Algorithm::hs256);
}

TEST(Key, a_public_half_checks_and_does_not_sign) {
  const Key pair = Key::from_private("a", secret).value();
  const Key half = Key::from_public("a", pair.public_bytes()).value();
  EXPECT_FALSE(half.can_sign());
  EXPECT_EQ(half.sign("text"), "");
  EXPECT_TRUE(half.signed_by_this("text", pair.sign("text")));
  EXPECT_FALSE(half.signed_by_this("text", half.sign("text")));
}

TEST(Key, has_enough_bytes_and_not_too_many) {
  EXPECT_FALSE(Key::from_secret("a", std::string(31, 's')));
  EXPECT_TRUE(Key::from_secret("a", std::string(1024, 's')));
  EXPECT_FALSE(Key::from_secret("a", std::string(1025, 's')));
  for (const std::size_t size : {31U, 33U, 0U}) {
    EXPECT_FALSE(Key::from_private("a", std::string(size, 's')));
    EXPECT_FALSE(Key::from_public("a", std::string(size, 's')));
  }
}

}  // namespace key_test
}  // namespace steelyard::token
