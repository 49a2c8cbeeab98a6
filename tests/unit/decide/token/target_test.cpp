#include "decide/token/target.hpp"

#include <gtest/gtest.h>

#include "decide/token/base64url.hpp"

namespace steelyard::token {
namespace target_test {

constexpr std::string_view name = "steelyard_token";

struct Case {
  std::string_view target;
  std::optional<std::string_view> value;
  std::string_view rest;
};

TEST(TakeParameter, leaves_every_other_byte_as_it_is) {
  for (const Case& each :
       {Case{"/a", {}, "/a"},
        {"/a?", {}, "/a?"},
        {"/a?b=1&c", {}, "/a?b=1&c"},
        {"/a?steelyard_token=T", "T", "/a"},
        {"/a?&steelyard_token=T", "T", "/a?"},
        {"/a?steelyard_token=T&", "T", "/a?"},
        {"/a?steelyard_token=T&b=1", "T", "/a?b=1"},
        {"/a?b=1&steelyard_token=T", "T", "/a?b=1"},
        {"/a?b=1&&steelyard_token=T", "T", "/a?b=1&"},
        {"/a?b=1&steelyard_token=T&c=2", "T", "/a?b=1&c=2"},
        {"//%2e;x/?b=%41+c&steelyard_token=T", "T", "//%2e;x/?b=%41+c"},
        {"/a?steelyard_token=T=T?x", "T=T?x", "/a"},
        {"/a?steelyard_token=", "", "/a"},
        {"/a?steelyard_token", "", "/a"},
        {"/a?Steelyard_token=T&steelyard_tokens=U&xsteelyard_token=V", {}, "/a?Steelyard_token=T&steelyard_tokens=U&xsteelyard_token=V"},
        {"/steelyard_token=T", {}, "/steelyard_token=T"},
        {"/a?b=1;steelyard_token=T", {}, "/a?b=1;steelyard_token=T"},
        {"", {}, ""}}) {
    const auto carried = take_parameter(each.target, name);
    ASSERT_TRUE(carried) << each.target;
    EXPECT_EQ(carried->value, each.value) << each.target;
    EXPECT_EQ(carried->target, each.rest) << each.target;
  }
}

TEST(TakeParameter, denies_two_of_them) {
  for (const std::string_view target : {"/a?steelyard_token=T&steelyard_token=T", "/a?steelyard_token&b&steelyard_token=U"}) {
    const auto carried = take_parameter(target, name);
    ASSERT_FALSE(carried) << target;
    EXPECT_EQ(carried.error().reason, Reason::repeated) << target;
  }
}

TEST(TakeParameter, denies_a_name_in_percent_encodings) {
  for (const std::string_view target : {"/a?%73teelyard_token=T", "/a?steelyard%5Ftoken=T", "/a?steelyard_token=T&steelyard_toke%6e=U"}) {
    const auto carried = take_parameter(target, name);
    ASSERT_FALSE(carried) << target;
    EXPECT_EQ(carried.error().reason, Reason::malformed) << target;
  }
  for (const std::string_view target : {"/a?%7", "/a?%=T", "/a?%zzteelyard_token=T", "/a?steelyard_token%=T"}) {
    EXPECT_FALSE(take_parameter(target, name).value().value) << target;
  }
}

TEST(WithParameter, is_undone_by_taking_it) {
  for (const std::string_view target : {"/", "/a?", "/a?b", "/a?b=1&", "/a?&&", "/a?b?c", "//;x?%41"}) {
    const std::string with = with_parameter(target, name, "T");
    const auto carried = take_parameter(with, name);
    ASSERT_TRUE(carried) << with;
    EXPECT_EQ(carried->value, "T") << with;
    EXPECT_EQ(carried->target, target) << with;
  }
  EXPECT_EQ(with_parameter("/a", name, "T"), "/a?steelyard_token=T");
  EXPECT_EQ(with_parameter("/a?b=1", name, "T"), "/a?b=1&steelyard_token=T");
}

TEST(PathOf, ends_at_the_first_question_mark) {
  EXPECT_EQ(path_of("/a?b?c"), "/a");
  EXPECT_EQ(path_of("/a"), "/a");
  EXPECT_EQ(path_of("?b"), "");
}

TEST(HashOf, is_sha_256_of_the_bytes_as_they_are) {
  const TargetHash hash = hash_of("abc");  // FIPS 180-4, example
  EXPECT_EQ(to_base64url({reinterpret_cast<const char*>(hash.data()), hash.size()}), "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0");
  for (const std::string_view other : {"/a//b", "/a/./b", "/a%2fb", "/a%2Fb", "/A/b", "/a/b;", "/a/b?", "/a/b/", "/a/b#"}) {
    EXPECT_NE(hash_of(other), hash_of("/a/b")) << other;
  }
}

}  // namespace target_test
}  // namespace steelyard::token
