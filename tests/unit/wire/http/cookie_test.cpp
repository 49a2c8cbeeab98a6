// Cookies and query parameters: found by name, whatever stands around them.
#include "wire/http/cookie.hpp"

#include <gtest/gtest.h>

#include <string>

namespace steelyard::http {
namespace cookie_test {

Fields with(std::initializer_list<std::string_view> cookies) {
  Fields fields;
  EXPECT_TRUE(fields.push_back({"X-Cookie", "a=0", FieldName::other}));
  for (const std::string_view cookie : cookies) EXPECT_TRUE(fields.push_back({"Cookie", cookie, FieldName::cookie}));
  return fields;
}

TEST(FindCookie, by_its_whole_name_among_others) {
  const Fields fields = with({"aa=1; a=2; ab=3"});
  EXPECT_EQ(find_cookie(fields, "a"), "2");
  EXPECT_EQ(find_cookie(fields, "ab"), "3");
  EXPECT_EQ(find_cookie(fields, "b"), std::nullopt);
  EXPECT_EQ(find_cookie(fields, "A"), std::nullopt);
}

TEST(FindCookie, the_first_of_several_fields_and_of_several_of_the_name) {
  EXPECT_EQ(find_cookie(with({"b=1", "a=2; a=3", "a=4"}), "a"), "2");
}

TEST(FindCookie, values_may_hold_equals_signs_be_empty_or_quoted) {
  const Fields fields = with({R"(a=b=c; empty=; quoted="x y"; half="; lone)"});
  EXPECT_EQ(find_cookie(fields, "a"), "b=c");
  EXPECT_EQ(find_cookie(fields, "empty"), "");
  EXPECT_EQ(find_cookie(fields, "quoted"), "x y");
  EXPECT_EQ(find_cookie(fields, "half"), "\"");
  EXPECT_EQ(find_cookie(fields, "lone"), std::nullopt);
}

TEST(FindCookie, separators_without_anything_between_are_skipped) {
  EXPECT_EQ(find_cookie(with({";;  ;a=1;"}), "a"), "1");
  EXPECT_EQ(find_cookie(with({"", ";", "="}), "a"), std::nullopt);
}

TEST(FindParameter, by_its_whole_name_among_others) {
  EXPECT_EQ(find_parameter("aa=1&a=2&a=3&flag", "a"), "2");
  EXPECT_EQ(find_parameter("a=%20&b=", "a"), "%20");
  EXPECT_EQ(find_parameter("a=%20&b=", "b"), "");
  EXPECT_EQ(find_parameter("flag", "flag"), std::nullopt);
  EXPECT_EQ(find_parameter("", "a"), std::nullopt);
}

}  // namespace cookie_test
}  // namespace steelyard::http
