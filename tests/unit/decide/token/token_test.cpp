// What is denied: each claim that does not fit, each way to spell a token anew, each confusion of keys.
#include "decide/token/token.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "decide/token/base64url.hpp"
#include "decide/token/target.hpp"

namespace steelyard::token {
namespace token_test {

constexpr std::string_view target = "/files/a.bin?part=2";
const std::string bytes(32, 's');
const Key hs256 = Key::from_secret("old", bytes).value();
const Key pair = Key::from_private("new", bytes).value();

KeySet set_of(std::string_view first, std::string_view second = "") {
  return KeySet::parse(fmt::format(R"({{"keys": [{}{}{}]}})", first, second.empty() ? "" : ",", second)).value();
}
KeySet secret_only() { return set_of(to_jwk(hs256, bytes)); }
KeySet pair_only() { return set_of(to_jwk(pair, bytes)); }

Claims claims() {
  return {.server = "app-1",
          .method = "GET",
          .target_hash = hash_of(target),
          .client = Network::parse("192.0.2.7/32"),
          .issued_s = 1000,
          .expires_s = 1030,
          .id = {1, 2, 3}};
}

Expectation fitting() {
  return {.server = "app-1", .method = "GET", .target = target, .client = IpAddress::v4(0xc0000207), .now_s = 1010, .skew_s = 5};
}

std::string outcome(const KeySet& keys, std::string_view token, const Expectation& expected = fitting()) {
  const auto read = verify(keys, token, expected);
  return read ? "valid" : std::string(name_of(read.error().reason));
}
std::string outcome(const Expectation& expected) { return outcome(secret_only(), mint(secret_only(), claims()), expected); }

// Whatever header and claims, signed with this key.
std::string signed_with(const Key& key, std::string_view header, std::string_view payload) {
  const std::string text = to_base64url(header) + "." + to_base64url(payload);
  return text + "." + to_base64url(key.sign(text));
}

TEST(Verify, gives_the_claims_back) {
  for (const KeySet& keys : {secret_only(), pair_only()}) {
    EXPECT_EQ(verify(keys, mint(keys, claims()), fitting()).value(), claims());
  }
}

TEST(Verify, denies_every_expectation_but_the_one_that_was_meant) {
  Expectation other = fitting();
  EXPECT_EQ(outcome(other), "valid");
  other.server = "app-2";
  EXPECT_EQ(outcome(other), "wrong_server");
  other = fitting();
  for (const std::string_view method : {"HEAD", "POST", "get", ""}) {
    other.method = method;
    EXPECT_EQ(outcome(other), "wrong_method") << method;
  }
  other = fitting();
  for (const std::string_view changed :
       {"/files/b.bin?part=2", "/files/a.bin?part=3", "/files/a.bin", "/files/a.bin?", "/files/a.bin?part=2&x", "/files/a.bin?part=2&",
        "/files/a%2ebin?part=2", "/files/a%2Ebin?part=2", "//files/a.bin?part=2", "/files//a.bin?part=2", "/files/./a.bin?part=2",
        "/files/;/a.bin?part=2", "/files/a.bin;x?part=2", "/Files/a.bin?part=2", "/files/a.bin?part=%32", "/files/a.bin?part=2 ", ""}) {
    other.target = changed;
    EXPECT_EQ(outcome(other), "wrong_target") << changed;
  }
}

TEST(Verify, binds_odd_targets_byte_by_byte) {
  for (const std::string_view odd : {"/a%2eb", "//a", "/a;b=1/c", "/a?", "/%"}) {
    Claims some = claims();
    some.target_hash = hash_of(odd);
    Expectation expected = fitting();
    expected.target = odd;
    EXPECT_EQ(outcome(secret_only(), mint(secret_only(), some), expected), "valid") << odd;
  }
}

TEST(Verify, denies_other_clients) {
  Expectation other = fitting();
  other.client = IpAddress::v4(0xc0000208);
  EXPECT_EQ(outcome(other), "wrong_client");
  other.client = IpAddress::parse("2001:db8::7").value();
  EXPECT_EQ(outcome(other), "wrong_client");
  Claims some = claims();
  some.client = Network::parse("192.0.2.0/28");
  const std::string network = mint(secret_only(), some);
  other.client = IpAddress::v4(0xc000020f);
  EXPECT_EQ(outcome(secret_only(), network, other), "valid");
  other.client = IpAddress::v4(0xc0000210);
  EXPECT_EQ(outcome(secret_only(), network, other), "wrong_client");
  some.client.reset();
  EXPECT_EQ(outcome(secret_only(), mint(secret_only(), some), other), "valid") << "of nobody in particular";
}

TEST(Verify, goes_by_the_time_up_to_the_skew_both_ways) {
  struct Case {
    std::int64_t now_s, skew_s;
    std::string_view outcome;
  };
  for (const Case& each : {Case{1000, 0, "valid"},
                           {999, 0, "not_yet_valid"},
                           {995, 5, "valid"},
                           {994, 5, "not_yet_valid"},
                           {1029, 0, "valid"},
                           {1030, 0, "expired"},
                           {1034, 5, "valid"},
                           {1035, 5, "expired"},
                           {0, 5, "not_yet_valid"}}) {
    Expectation then = fitting();
    then.now_s = each.now_s;
    then.skew_s = each.skew_s;
    EXPECT_EQ(outcome(then), each.outcome) << each.now_s << " with " << each.skew_s;
  }
}

TEST(Verify, denies_every_token_with_one_bit_or_byte_changed) {
  for (const KeySet& keys : {secret_only(), pair_only()}) {
    const std::string token = mint(keys, claims());
    for (std::size_t i = 0; i < token.size(); ++i) {
      for (const char c : {'A', 'B', '_', '.', '=', ' ', static_cast<char>(token[i] ^ 1)}) {
        std::string changed = token;
        changed[i] = c;
        if (changed != token) EXPECT_NE(outcome(keys, changed), "valid") << i << " " << c;
      }
      EXPECT_NE(outcome(keys, token.substr(0, i)), "valid") << "cut at " << i;
      EXPECT_NE(outcome(keys, token.substr(i + 1)), "valid") << "cut at " << i;
    }
  }
}

TEST(Verify, denies_other_spellings_of_a_token) {
  const std::string token = mint(secret_only(), claims());
  const std::size_t second = token.rfind('.');
  for (const std::string& other : {token + "=", token + "==", token + " ", " " + token, token + "\n", token + ".", "." + token,
                                   token + ".e30", token.substr(0, second) + "=" + token.substr(second), token + '\0', "Bearer " + token,
                                   std::string(), std::string("."), std::string(".."), std::string("...")}) {
    EXPECT_EQ(outcome(secret_only(), other), "malformed") << other;
  }
  // 32 bytes leave two bits of the last character over.
  std::string trailing = token;
  constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  for (std::size_t bits = 1; bits < 4; ++bits) {
    trailing.back() = alphabet[alphabet.find(token.back()) + bits];
    EXPECT_EQ(outcome(secret_only(), trailing), "malformed");
  }
}

TEST(Verify, denies_a_token_that_is_too_long_before_anything_else) {
  const std::string header = R"({"alg":"HS256","kid":"old","typ":"JWT")";
  const auto sized = [&](std::size_t blanks) { return signed_with(hs256, header + std::string(blanks, ' ') + "}", to_json(claims())); };
  std::size_t blanks = 0;
  while (sized(blanks + 1).size() <= token_bytes_max) ++blanks;
  EXPECT_EQ(outcome(secret_only(), sized(blanks)), "valid");
  EXPECT_EQ(outcome(secret_only(), sized(blanks + 1)), "too_long");
  EXPECT_EQ(outcome(secret_only(), std::string(token_bytes_max + 1, '=')), "too_long");
}

TEST(Verify, denies_headers_that_are_not_of_its_keys) {
  const auto with_header = [](std::string_view header) { return outcome(secret_only(), signed_with(hs256, header, to_json(claims()))); };
  EXPECT_EQ(with_header(R"({"alg":"HS256","kid":"old","typ":"JWT"})"), "valid");
  EXPECT_EQ(with_header(R"({"typ":"JWT", "note":[{}], "kid":"ol\u0064","alg":"HS256"})"), "valid");
  for (const std::string_view algorithm : {"none", "None", "", "HS384", "hs256", "EdDSA", "HS256 "}) {
    EXPECT_EQ(with_header(fmt::format(R"({{"alg":"{}","kid":"old","typ":"JWT"}})", algorithm)), "wrong_algorithm") << algorithm;
  }
  EXPECT_EQ(with_header(R"({"kid":"old","typ":"JWT"})"), "wrong_algorithm");
  EXPECT_EQ(with_header(R"({"alg":["HS256"],"kid":"old","typ":"JWT"})"), "wrong_algorithm");
  EXPECT_EQ(with_header(R"({"alg":"HS256","typ":"JWT"})"), "malformed");
  EXPECT_EQ(with_header(R"({"alg":"HS256","kid":1,"typ":"JWT"})"), "malformed");
  EXPECT_EQ(with_header(R"({"alg":"HS256","kid":"old"})"), "malformed");
  EXPECT_EQ(with_header(R"({"alg":"HS256","kid":"old","typ":"at+jwt"})"), "malformed");
  EXPECT_EQ(with_header(R"({"alg":"HS256","kid":"Old","typ":"JWT"})"), "unknown_key");
  EXPECT_EQ(with_header(R"({"alg":"HS256","kid":"old","typ":"JWT","crit":["exp"]})"), "unsupported");
  EXPECT_EQ(with_header(R"({"alg":"HS256","kid":"old","typ":"JWT","crit":[]})"), "unsupported");
  EXPECT_EQ(with_header(R"({"alg":"HS256","alg":"HS256","kid":"old","typ":"JWT"})"), "malformed");
  EXPECT_EQ(with_header(R"({"alg":"none","\u0061lg":"HS256","kid":"old","typ":"JWT"})"), "malformed");
  for (const std::string_view header : {"", "null", "[]", R"({"alg":"HS256","kid":"old","typ":"JWT"} )", R"({"alg":"HS256","kid":"old")"}) {
    EXPECT_EQ(with_header(header), "malformed") << header;
  }
}

TEST(Verify, denies_an_unsigned_token) {
  for (const std::string_view algorithm : {"none", "HS256"}) {
    const std::string header = fmt::format(R"({{"alg":"{}","kid":"old","typ":"JWT"}})", algorithm);
    const std::string token = to_base64url(header) + "." + to_base64url(to_json(claims())) + ".";
    EXPECT_EQ(outcome(secret_only(), token), algorithm == "none" ? "wrong_algorithm" : "bad_signature");
  }
}

TEST(Verify, denies_what_another_key_has_signed) {
  const Key stranger = Key::from_secret("old", std::string(32, 't')).value();
  EXPECT_EQ(outcome(secret_only(), mint(set_of(to_jwk(stranger, std::string(32, 't'))), claims())), "bad_signature");
  EXPECT_EQ(outcome(secret_only(), mint(pair_only(), claims())), "unknown_key");
}

TEST(Verify, denies_a_mac_made_with_the_bytes_of_a_public_key) {
  const KeySet guard = set_of(to_jwk(pair));
  const Key confused = Key::from_secret("new", pair.public_bytes()).value();
  const std::string payload = to_json(claims());
  EXPECT_EQ(outcome(guard, signed_with(confused, R"({"alg":"HS256","kid":"new","typ":"JWT"})", payload)), "wrong_algorithm");
  EXPECT_EQ(outcome(guard, signed_with(confused, R"({"alg":"EdDSA","kid":"new","typ":"JWT"})", payload)), "bad_signature");
  EXPECT_EQ(outcome(guard, signed_with(pair, R"({"alg":"EdDSA","kid":"new","typ":"JWT"})", payload)), "valid");
}

TEST(Verify, looks_at_claims_only_behind_a_right_signature) {
  const std::string header = R"({"alg":"HS256","kid":"old","typ":"JWT"})";
  const Key stranger = Key::from_secret("old", std::string(32, 't')).value();
  std::string twice = to_json(claims());
  twice.insert(1, R"("aud":"app-2",)");
  EXPECT_EQ(outcome(secret_only(), signed_with(stranger, header, twice)), "bad_signature");
  EXPECT_EQ(outcome(secret_only(), signed_with(hs256, header, twice)), "malformed");
  std::string unknown = to_json(claims());
  unknown.insert(1, R"("nbf":2000,)");
  EXPECT_EQ(outcome(secret_only(), signed_with(hs256, header, unknown)), "unsupported");
}

TEST(Verify, knows_the_old_key_while_the_new_one_signs) {
  const std::string before = mint(secret_only(), claims());
  const KeySet both = set_of(to_jwk(pair, bytes), to_jwk(hs256, bytes));
  const std::string after = mint(both, claims());
  EXPECT_EQ(outcome(both, before), "valid");
  EXPECT_EQ(outcome(both, after), "valid");
  EXPECT_EQ(outcome(pair_only(), after), "valid") << "the first key signed";
  EXPECT_EQ(outcome(pair_only(), before), "unknown_key") << "the old key is gone";
}

TEST(Mint, makes_nothing_where_no_key_can_sign_or_the_token_would_be_too_long) {
  EXPECT_EQ(mint(set_of(to_jwk(pair)), claims()), "");
  EXPECT_EQ(mint(KeySet(), claims()), "");
  Claims some = claims();
  some.server.assign(token_bytes_max, 's');
  EXPECT_EQ(mint(secret_only(), some), "");
}

TEST(Mint, has_room_for_the_longest_names) {
  const Key longest = Key::from_private(std::string(Key::id_bytes_max, '"'), bytes).value();
  Claims some = claims();
  some.server.assign(128, '"');
  some.method.assign(32, 'M');
  some.client = Network::parse("2001:db8:1111:2222:3333:4444:5555:6666/128");
  some.issued_s = time_max_s - 1;
  some.expires_s = time_max_s;
  some.hops = hops_possible;
  EXPECT_NE(mint(set_of(to_jwk(longest, bytes)), some), "");
}

TEST(Split, shows_the_parts_of_a_token_whoever_signed_it) {
  const std::string token = mint(pair_only(), claims());
  const Parts parts = split(token).value();
  EXPECT_EQ(parts.header, R"({"alg":"EdDSA","kid":"new","typ":"JWT"})");
  EXPECT_EQ(parts.claims, to_json(claims()));
  EXPECT_EQ(parts.signature.size(), 64U);
  EXPECT_EQ(parts.signed_text, token.substr(0, token.rfind('.')));
}

}  // namespace token_test
}  // namespace steelyard::token
