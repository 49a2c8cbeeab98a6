#include "decide/token/claims.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

namespace steelyard::token {
namespace claims_test {

constexpr std::string_view text =
    R"({"aud":"app-1","cdniuc":"hash:AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","mth":"GET","net":"192.0.2.0/24","iat":100,"exp":130,)"
    R"("jti":"AgAAAAAAAAAAAAAAAAAAAA","hop":3,"prx":true})";

Claims claims() {
  return {.server = "app-1",
          .method = "GET",
          .target_hash = {1},
          .client = Network::parse("192.0.2.0/24"),
          .issued_s = 100,
          .expires_s = 130,
          .id = {2},
          .hops = 3,
          .carried = true};
}

std::string with(std::string_view from, std::string_view to) {
  std::string changed(text);
  const std::size_t at = changed.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return changed.replace(at, from.size(), to);
}

Reason reason_of(std::string_view json) {
  const auto read = parse_claims(json);
  EXPECT_FALSE(read) << json;
  return read ? Reason{} : read.error().reason;
}

TEST(Claims, are_written_in_one_spelling) { EXPECT_EQ(to_json(claims()), text); }

TEST(Claims, leave_out_what_is_absent) {
  Claims some = claims();
  some.client.reset();
  some.hops = 0;
  some.carried = false;
  const std::string json = to_json(some);
  EXPECT_EQ(json.find("net"), std::string::npos);
  EXPECT_EQ(json.find("hop"), std::string::npos);
  EXPECT_EQ(json.find("prx"), std::string::npos);
  EXPECT_EQ(parse_claims(json).value(), some);
}

TEST(Claims, are_read_in_any_order_with_blanks_and_escapes) {
  EXPECT_EQ(parse_claims(text).value(), claims());
  EXPECT_EQ(parse_claims(with(R"("aud":"app-1",)", R"( "\u0061ud" : "app\u002d1" , )")).value(), claims());
}

TEST(Claims, that_are_missing_are_denied) {
  for (const std::string_view member : {R"("aud":"app-1",)", R"("cdniuc":"hash:AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",)",
                                        R"("mth":"GET",)", R"("iat":100,)", R"("exp":130,)", R"("jti":"AgAAAAAAAAAAAAAAAAAAAA",)"}) {
    EXPECT_EQ(reason_of(with(member, "")), Reason::malformed) << member;
  }
}

TEST(Claims, that_are_unknown_are_denied) {
  for (const std::string_view member : {R"("nbf":1,)", R"("iss":"me",)", R"("cdnicrit":"x",)", R"("AUD":"app-2",)", R"("":0,)"}) {
    EXPECT_EQ(reason_of(with(R"("mth")", std::string(member) + R"("mth")")), Reason::unsupported) << member;
  }
}

TEST(Claims, that_stand_twice_are_denied) {
  EXPECT_EQ(reason_of(with(R"("mth")", R"("aud":"app-1","mth")")), Reason::malformed);
  EXPECT_EQ(reason_of(with(R"("mth")", R"("\u0061ud":"app-2","mth")")), Reason::malformed);
}

TEST(Claims, of_another_form_are_denied) {
  const auto changed = [](std::string_view from, std::string_view to) { return reason_of(with(from, to)); };
  for (const std::string_view number :
       {"1e2", "100.0", "-1", "-0", "\"100\"", "9007199254740992", "99999999999999999999", "null", "[100]"}) {
    EXPECT_EQ(changed("100", number), Reason::malformed) << number;
  }
  for (const std::string_view hops : {"256", "-1", "1.0", "4294967299", "true"}) {
    EXPECT_EQ(changed(":3,", ":" + std::string(hops) + ","), Reason::malformed) << hops;
  }
  for (const std::string_view carried : {"false", "1", "null", "\"true\""}) {
    EXPECT_EQ(changed(":true}", ":" + std::string(carried) + "}"), Reason::malformed) << carried;
  }
  for (const std::string_view network : {"\"192.0.2.1/24\"", "\"192.0.2.0/33\"", "\"any\"", "\"\"", "null", "[\"192.0.2.0/24\"]"}) {
    EXPECT_EQ(changed("\"192.0.2.0/24\"", network), Reason::malformed) << network;
  }
  for (const std::string_view server : {"\"\"", "null", "1", R"(["app-1"])"}) EXPECT_EQ(changed("\"app-1\"", server), Reason::malformed);
  for (const std::string_view hash :
       {"hash:AQ", "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "regex:.*", "hash:", "HASH:AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "hash:AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB"}) {
    EXPECT_EQ(changed("hash:AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", hash), Reason::malformed) << hash;
  }
  for (const std::string_view id : {"", "Ag", "AgAAAAAAAAAAAAAAAAAAAB", "AgAAAAAAAAAAAAAAAAAAAA==", "AgAAAAAAAAAAAAAAAAAAAAAA"}) {
    EXPECT_EQ(changed("AgAAAAAAAAAAAAAAAAAAAA", id), Reason::malformed) << id;
  }
  for (const std::string_view json : {"", "{", "null", "[]", "{}x", "{} "}) EXPECT_EQ(reason_of(json), Reason::malformed) << json;
  EXPECT_EQ(reason_of(std::string(text) + " "), Reason::malformed);
}

TEST(Claims, without_a_lifetime_are_denied) {
  EXPECT_EQ(reason_of(with("130", "100")), Reason::malformed);
  EXPECT_EQ(reason_of(with("130", "99")), Reason::malformed);
  EXPECT_TRUE(parse_claims(with("130", "101")));
}

TEST(Reasons, have_names_of_their_own) {
  std::set<std::string_view> names;
  for (int i = 0; i <= static_cast<int>(Reason::wrong_client); ++i) names.insert(name_of(static_cast<Reason>(i)));
  EXPECT_EQ(names.size(), static_cast<std::size_t>(Reason::wrong_client) + 1);
  EXPECT_FALSE(names.contains(""));
}

}  // namespace claims_test
}  // namespace steelyard::token
