// Tokens that another implementation made, from tests/corpus/tokens.json: the same text is made here, and it says the same.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "base/ascii.hpp"
#include "decide/token/target.hpp"
#include "decide/token/token.hpp"

namespace steelyard::token {
namespace golden_test {

nlohmann::json corpus() {
  std::ifstream file(TESTS_DIR "/corpus/tokens.json");
  return nlohmann::json::parse(file);
}

// All of its keys, that of the case first.
KeySet keys_of(const nlohmann::json& corpus, const std::string& id) {
  nlohmann::json keys = corpus["keys"];
  for (auto& key : keys["keys"]) {
    if (key["kid"] == id) std::swap(key, keys["keys"][0]);
  }
  return KeySet::parse(keys.dump()).value();
}

Claims claims_of(const nlohmann::json& each) {
  Claims claims{.server = each["server"],
                .method = each["method"],
                .target_hash = hash_of(each["target"].get<std::string>()),
                .issued_s = each["issued_s"],
                .expires_s = each["expires_s"],
                .hops = each["hops"],
                .carried = each["carried"]};
  if (!each["client"].is_null()) claims.client = Network::parse(each["client"].get<std::string>());
  const std::string digits = each["id"];
  for (std::size_t i = 0; i < claims.id.size(); ++i) {
    claims.id[i] = static_cast<std::uint8_t>(std::stoi(digits.substr(2 * i, 2), nullptr, 16));
  }
  return claims;
}

TEST(GoldenTokens, are_minted_byte_by_byte) {
  const auto cases = corpus();
  ASSERT_GE(cases["cases"].size(), 4U);
  for (const auto& each : cases["cases"])
    EXPECT_EQ(mint(keys_of(cases, each["kid"]), claims_of(each)), each["token"].get<std::string>()) << each["name"];
}

TEST(GoldenTokens, are_verified_whichever_key_signs_now) {
  const auto cases = corpus();
  const KeySet keys = KeySet::parse(cases["keys"].dump()).value();
  for (const auto& each : cases["cases"]) {
    const Claims claims = claims_of(each);
    const std::string target = each["target"];
    const std::string token = each["token"];
    const IpAddress client = IpAddress::parse(each["sent_by"].get<std::string>()).value();
    const auto read = verify(
        keys, token,
        {.server = claims.server, .method = claims.method, .target = target, .client = client, .now_s = claims.issued_s, .skew_s = 0});
    ASSERT_TRUE(read) << each["name"] << ": " << read.error().sentence;
    EXPECT_EQ(*read, claims) << each["name"];
  }
}

}  // namespace golden_test
}  // namespace steelyard::token
