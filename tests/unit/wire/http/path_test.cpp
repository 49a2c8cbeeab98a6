// Every path has one spelling or none.
#include "wire/http/path.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace steelyard::http {
namespace path_test {

std::string normal(std::string_view path) {
  std::vector<char> out(path.size());
  const auto once = normalize_path(path, out);
  if (!once) return "refused " + std::to_string(once.error().status);
  std::vector<char> again(once->size());
  const auto twice = normalize_path(*once, again);
  EXPECT_TRUE(twice && *twice == *once) << path;
  return std::string(*once);
}

TEST(NormalizePath, returns_the_same_view_when_nothing_is_to_be_done) {
  for (const std::string_view path :
       {"/", "*", "/a/b/", "/a;b=c/d,e", "/.well-known/x", "/...", "/a%2Fb", "/%20", "/c/-._~!$&'()*+,;=:@%20/"}) {
    std::vector<char> out(path.size());
    const auto result = normalize_path(path, out);
    ASSERT_TRUE(result.has_value()) << path;
    EXPECT_EQ(result->data(), path.data()) << path;
    EXPECT_EQ(*result, path);
  }
}

TEST(NormalizePath, decodes_unreserved_characters_once) {
  EXPECT_EQ(normal("/%70rivate/%7e%2D%5f%41"), "/private/~-_A");
  EXPECT_EQ(normal("/a%3ab%c3%a9"), "/a%3Ab%C3%A9");
  EXPECT_EQ(normal("/%252e%252e/%2541"), "/%252e%252e/%2541");
}

TEST(NormalizePath, removes_dot_segments) {
  EXPECT_EQ(normal("/./private/x"), "/private/x");
  EXPECT_EQ(normal("/a/%2e%2E/private/x"), "/private/x");
  EXPECT_EQ(normal("/a/b/../../../c"), "/c");
  EXPECT_EQ(normal("/a/b/.."), "/a/");
  EXPECT_EQ(normal("/a/."), "/a/");
  EXPECT_EQ(normal("/.."), "/");
  EXPECT_EQ(normal("/."), "/");
  EXPECT_EQ(normal("/a/..b/.c"), "/a/..b/.c");
}

TEST(NormalizePath, merges_slashes) {
  EXPECT_EQ(normal("//private/x"), "/private/x");
  EXPECT_EQ(normal("/a/..//private/x"), "/private/x");
  EXPECT_EQ(normal("/a//../b"), "/b");
  EXPECT_EQ(normal("/a///b//"), "/a/b/");
  EXPECT_EQ(normal("//"), "/");
}

TEST(NormalizePath, refuses_invalid_percent_encodings) {
  for (const std::string_view path : {"/%", "/%4", "/%zz", "/%4g", "/a%u002e", "/%%41", "/%00", "/a%/4", "/%/41"}) {
    EXPECT_EQ(normal(path), "refused 400") << path;
  }
}

TEST(NormalizePath, refuses_what_could_become_a_dot_segment) {
  for (const std::string_view path : {"/a/..%2fprivate", "/a/%2e%2e%2fprivate", "/a%2f..", "/a%2F.%2fb", "/%2e%2f", "/..;/a", "/.;x/a",
                                      "/..%3b/a", "/a%2f..;x/b", "/..;a=b"}) {
    EXPECT_EQ(normal(path), "refused 400") << path;
  }
}

TEST(NormalizePath, refuses_what_could_become_an_empty_segment) {
  for (const std::string_view path : {"/;/a", "/;x/private", "/%2fprivate", "/a%2f%2fb", "/a%2f/b", "/%3b/a"}) {
    EXPECT_EQ(normal(path), "refused 400") << path;
  }
}

TEST(NormalizePath, refuses_backslashes) {
  for (const std::string_view path : {"/a\\..\\b", "/a/..%5cprivate", "/a%5Cb"}) EXPECT_EQ(normal(path), "refused 400") << path;
}

TEST(NormalizePath, refuses_overlong_utf8) {
  for (const std::string_view path : {"/%c0%ae%c0%ae/", "/%C1%81", "/%e0%80%ae", "/%f0%80%80%ae"})
    EXPECT_EQ(normal(path), "refused 400") << path;
  EXPECT_EQ(normal("/%C0x%E0%A4%85%F0%90%80%80"), "/%C0x%E0%A4%85%F0%90%80%80");
}

TEST(NormalizePath, refuses_what_is_no_path) {
  for (const std::string_view path : {"", "a", "**", "/a b", "/a#b", "/a?b", "/\x7f", "/\xc3\xa9"})
    EXPECT_EQ(normal(path), "refused 400") << path;
}

}  // namespace path_test
}  // namespace steelyard::http
