// Conditional requests, rule by rule (RFC 9110 §13.1).
#include "admin/preconditions.hpp"

#include <gtest/gtest.h>

namespace steelyard::admin {
namespace preconditions_test {

int status_of(const Conditions& conditions, std::optional<std::uint64_t> current) {
  const auto judged = judge_change(conditions, current);
  return judged ? 200 : judged.error().status;
}
int if_match(std::string_view value, std::optional<std::uint64_t> current) { return status_of({value, std::nullopt}, current); }
int if_none_match(std::string_view value, std::optional<std::uint64_t> current) { return status_of({std::nullopt, value}, current); }

TEST(Preconditions, ask_for_nothing_where_there_are_none) {
  const auto judged = judge_change({}, 5);
  ASSERT_TRUE(judged);
  EXPECT_FALSE(judged->revision);
  EXPECT_FALSE(judged->absent);
}

TEST(Preconditions, if_match_asks_for_one_of_its_tags) {
  EXPECT_EQ(if_match("\"5\"", 5), 200);
  EXPECT_EQ(if_match("\"4\" , \"5\"", 5), 200);
  EXPECT_EQ(if_match("*", 5), 200);
  EXPECT_EQ(if_match("\"4\"", 5), 412);
  EXPECT_EQ(if_match("\"55\"", 5), 412);
  EXPECT_EQ(if_match("W/\"5\"", 5), 412);  // strong comparison
  EXPECT_EQ(if_match("\"5\"", std::nullopt), 412);
  EXPECT_EQ(if_match("\"0\"", std::nullopt), 412);
  EXPECT_EQ(if_match("*", std::nullopt), 412);
  EXPECT_EQ(judge_change({"*", std::nullopt}, 5)->revision, 5U);
}

TEST(Preconditions, if_none_match_asks_for_none_of_its_tags) {
  EXPECT_EQ(if_none_match("*", std::nullopt), 200);
  EXPECT_EQ(if_none_match("*", 5), 412);
  EXPECT_EQ(if_none_match("\"5\"", 5), 412);
  EXPECT_EQ(if_none_match("W/\"5\"", 5), 412);  // weak comparison
  EXPECT_EQ(if_none_match("\"4\", \"6\"", 5), 200);
  EXPECT_EQ(if_none_match("\"0\"", std::nullopt), 200);
  EXPECT_TRUE(judge_change({std::nullopt, "*"}, std::nullopt)->absent);
}

TEST(Preconditions, must_be_tags_in_quotes) {
  for (const char* wrong : {"5", "", "\"5", "5\"", "\"5\",", ",", "\"a\"b\"", "W/", "*, \"5\"", "\"5\" \"6\"", "\""}) {
    EXPECT_EQ(if_match(wrong, 5), 400) << wrong;
    EXPECT_EQ(if_none_match(wrong, 5), 400) << wrong;
  }
}

TEST(Preconditions, tell_what_a_reader_has) {
  EXPECT_FALSE(*is_known({}, 5));
  EXPECT_TRUE(*is_known({std::nullopt, "\"5\""}, 5));
  EXPECT_TRUE(*is_known({std::nullopt, "W/\"5\""}, 5));
  EXPECT_TRUE(*is_known({std::nullopt, "*"}, 5));
  EXPECT_FALSE(*is_known({std::nullopt, "\"6\""}, 5));
  EXPECT_FALSE(is_known({std::nullopt, "6"}, 5));
}

}  // namespace preconditions_test
}  // namespace steelyard::admin
