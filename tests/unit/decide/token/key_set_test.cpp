// Key sets: what is accepted, and what a newcomer is told of each mistake.
#include "decide/token/key_set.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "decide/token/base64url.hpp"

namespace steelyard::token {
namespace key_set_test {

// RFC 8037 appendix A.1.
constexpr std::string_view private_half = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
constexpr std::string_view public_half = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
const std::string secret(32, 's');

std::string set_of(std::string_view keys) { return fmt::format(R"({{"keys": [{}]}})", keys); }
std::string oct(std::string_view id, std::string_view more = "") {
  return fmt::format(R"({{"kty":"oct","kid":"{}","k":"{}"{}}})", id, to_base64url(secret), more);
}
std::string okp(std::string_view id, std::string_view more = "") {
  return fmt::format(R"({{"kty":"OKP","crv":"Ed25519","kid":"{}","x":"{}"{}}})", id, public_half, more);
}
std::string with_d() { return fmt::format(R"(,"d":"{}")", private_half); }
std::string refusal(std::string_view json) {
  const auto set = KeySet::parse(json);
  return set ? "accepted" : set.error();
}

TEST(KeySet, the_first_key_that_can_sign_signs) {
  const KeySet set = KeySet::parse(set_of(okp("public") + "," + okp("pair", with_d()) + ",\n" + oct("secret"))).value();
  EXPECT_EQ(set.keys().size(), 3U);
  ASSERT_NE(set.signer(), nullptr);
  EXPECT_EQ(set.signer()->id(), "pair");
  EXPECT_EQ(set.signer()->algorithm(), Algorithm::eddsa);
  EXPECT_EQ(set.find("secret")->algorithm(), Algorithm::hs256);
  EXPECT_EQ(set.find("other"), nullptr);
}

TEST(KeySet, public_halves_alone_sign_nothing) {
  const KeySet set = KeySet::parse(set_of(okp("public"))).value();
  EXPECT_EQ(set.signer(), nullptr);
  EXPECT_EQ(set.keys()[0].sign("text"), "");
}

TEST(KeySet, passes_over_members_that_say_nothing_here) {
  EXPECT_TRUE(KeySet::parse(set_of(oct("a", R"(,"use":"sig","key_ops":["sign"],"note":{"by":[1]},"alg":"HS256")"))));
  EXPECT_TRUE(KeySet::parse(" " + set_of(okp("a", R"(,"alg":"EdDSA")")) + " \n"));
}

TEST(KeySet, says_what_is_wrong_with_a_file_of_another_kind) {
  EXPECT_EQ(refusal("-----BEGIN PRIVATE KEY-----\n"), "it is in PEM form: keys are wanted as a JWK Set (steelyard token keygen makes one)");
  EXPECT_EQ(refusal(oct("a")), R"(it is a single key: write {"keys": [ and ]} around it)");
  EXPECT_EQ(refusal("{}"), R"(it has no list "keys")");
  EXPECT_EQ(refusal(R"({"keys": {}})"), R"(it has no list "keys")");
  EXPECT_EQ(refusal(set_of("")), R"(its list "keys" is empty)");
  EXPECT_EQ(refusal(""), "it is not a JSON object: it ends too early");
  EXPECT_EQ(refusal(R"({"keys": [)"), "it is not a JSON object: it ends too early");
  EXPECT_EQ(refusal("secret"), "it is not a JSON object, see byte 1: It does not begin with an object.");
  EXPECT_EQ(refusal(set_of(oct("a")) + "}"), "it goes on behind its JSON object");
  EXPECT_EQ(refusal(set_of(R"("a")")), "key 1: It does not begin with an object.");
  EXPECT_EQ(refusal(std::string(KeySet::text_bytes_max + 1, ' ')), "it has more than 65536 bytes");
  EXPECT_NE(refusal(R"({"keys": [], "k\u0065ys": []})").find("twice"), std::string::npos);
}

TEST(KeySet, says_what_is_wrong_with_a_key_and_which) {
  const std::string good = oct("good") + ",";
  const auto wrong = [&](std::string_view key) { return refusal(set_of(good + std::string(key))); };
  EXPECT_EQ(wrong(R"({"kty":"oct","k":""})"), "key 2: kid is missing");
  EXPECT_EQ(wrong(R"({"kid":"b"})"), R"(key 2 ("b"): kty is missing)");
  EXPECT_EQ(wrong(R"({"kid":"b","kty":"RSA"})"), R"(key 2 ("b"): kty must be oct (HS256) or OKP (Ed25519))");
  EXPECT_EQ(wrong(R"({"kid":"b","kty":"oct"})"), R"(key 2 ("b"): k is missing)");
  EXPECT_EQ(wrong(R"({"kid":"b","kty":"oct","k":1})"), R"(key 2 ("b"): k is not a text)");
  EXPECT_NE(wrong(R"({"kid":"b","kty":"oct","k":"Zg=="})").find("k is not base64url"), std::string::npos);
  EXPECT_EQ(wrong(R"({"kid":"b","kty":"oct","k":"Zg"})"), R"(key 2 ("b"): has a secret of 1 bytes, HS256 takes 32 to 1024)");
  EXPECT_EQ(wrong(oct("b", R"(,"alg":"HS512")")), R"(key 2 ("b"): alg must be HS256 for a key of this kty)");
  EXPECT_EQ(wrong(oct("b", R"(,"alg":"none")")), R"(key 2 ("b"): alg must be HS256 for a key of this kty)");
  EXPECT_EQ(wrong(okp("b", R"(,"alg":"HS256")")), R"(key 2 ("b"): alg must be EdDSA for a key of this kty)");
  EXPECT_EQ(wrong(oct("b", R"(,"use":"enc")")), R"(key 2 ("b"): use must be sig, or absent: the key is not for signatures)");
  EXPECT_EQ(wrong(R"({"kid":"b","kty":"OKP","crv":"X25519","x":""})"), R"(key 2 ("b"): crv must be Ed25519)");
  EXPECT_EQ(wrong(R"({"kid":"b","kty":"OKP","crv":"Ed25519","x":"Zg"})"), R"(key 2 ("b"): has 1 bytes, those of Ed25519 have 32)");
  EXPECT_EQ(wrong(okp("b", fmt::format(R"(,"d":"{}")", to_base64url(secret)))), R"(key 2 ("b"): x is not the public half of d)");
  EXPECT_EQ(wrong(oct("good")), R"(key 2 ("good"): another key has the same kid)");
  EXPECT_NE(wrong(oct("b", R"(,"\u006b":"AAAA")")).find("twice"), std::string::npos);
}

TEST(KeySet, ids_are_short_and_visible) {
  EXPECT_TRUE(KeySet::parse(set_of(oct(std::string(Key::id_bytes_max, 'i')))));
  EXPECT_EQ(refusal(set_of(oct(""))), R"(key 1 (""): has a kid of 0 characters, allowed are 1 to 64)");
  EXPECT_NE(refusal(set_of(oct(std::string(Key::id_bytes_max + 1, 'i')))).find("65 characters"), std::string::npos);
  EXPECT_NE(refusal(set_of(oct("a b"))).find("visible ASCII"), std::string::npos);
  EXPECT_NE(refusal(set_of(oct("\xc3\xa9"))).find("visible ASCII"), std::string::npos);
}

TEST(KeySet, has_an_upper_number_of_keys) {
  std::string keys = oct("0");
  for (std::size_t i = 1; i < KeySet::keys_max; ++i) keys += "," + oct(std::to_string(i));
  EXPECT_EQ(KeySet::parse(set_of(keys)).value().keys().size(), KeySet::keys_max);
  EXPECT_EQ(refusal(set_of(keys + "," + oct("more"))), "it has more than 64 keys");
}

TEST(KeySet, a_refusal_never_says_a_secret) {
  const std::string text = to_base64url(secret);
  for (const std::string& set : {set_of(oct("a", R"(,"alg":"HS512")")), set_of(oct("a") + "," + oct("a"))}) {
    EXPECT_EQ(refusal(set).find(text), std::string::npos);
  }
}

TEST(ToJwk, writes_what_is_read_as_the_same_key) {
  const Key hs256 = Key::from_secret("a", secret).value();
  const KeySet first = KeySet::parse(set_of(to_jwk(hs256, secret))).value();
  EXPECT_TRUE(first.signer()->signed_by_this("text", hs256.sign("text")));
  const std::string bytes = decode_base64url(private_half).value();
  const Key pair = Key::from_private("b", bytes).value();
  EXPECT_EQ(to_base64url(pair.public_bytes()), public_half);
  EXPECT_TRUE(KeySet::parse(set_of(to_jwk(pair, bytes))).value().signer()->signed_by_this("text", pair.sign("text")));
  const KeySet guard = KeySet::parse(set_of(to_jwk(pair))).value();
  EXPECT_EQ(guard.signer(), nullptr);
  EXPECT_TRUE(guard.keys()[0].signed_by_this("text", pair.sign("text")));
  EXPECT_EQ(to_jwk(pair).find(private_half), std::string::npos);
}

}  // namespace key_set_test
}  // namespace steelyard::token
