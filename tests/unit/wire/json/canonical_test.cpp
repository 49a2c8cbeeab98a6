// What Python writes of an object it has read, from tests/corpus/json_canonical.json.
#include "wire/json/canonical.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "wire/json/replay.hpp"

namespace steelyard::json {
namespace canonical_test {

std::string canonical(std::string_view text) {
  EXPECT_EQ(scan(text).consumed, text.size()) << text;
  std::string out = ">";
  write_canonical(text, out);
  return out.substr(1);
}

TEST(WriteCanonical, writes_what_python_writes) {
  std::ifstream file(TESTS_DIR "/corpus/json_canonical.json");
  const auto cases = nlohmann::json::parse(file);
  ASSERT_GE(cases.size(), 100U);
  for (const auto& each : cases) {
    const std::string text = each["text"];
    const std::string expected = each["canonical"];
    EXPECT_EQ(canonical(text), expected) << text;
    EXPECT_EQ(canonical(expected), expected) << "once more";
  }
}

TEST(WriteCanonical, leaves_numbers_as_they_are) {
  EXPECT_EQ(canonical(R"({"a":1e2,"b":-0,"c":[1E+05,1.50,0.1e-7]})"), R"({"a": 1e2, "b": -0, "c": [1E+05, 1.50, 0.1e-7]})");
}

TEST(WriteCanonical, keeps_a_name_that_stands_twice_in_an_inner_object) {
  EXPECT_EQ(canonical(R"({"a":{"b":1,"b":2}})"), R"({"a": {"b": 1, "b": 2}})");
}

TEST(WriteCanonical, grows_what_it_writes_sixfold_at_most) {
  const std::string text = "{\"a\":\"" + std::string(1000, '\x7f') + "\"}";
  const std::string written = canonical(text);
  EXPECT_EQ(written.size(), 6 * 1000 + 9U);
  EXPECT_LE(written.size(), canonical_growth_max * text.size());
}

TEST(WriteString, escapes_a_text_that_has_no_escapes) {
  std::string out = ">";
  write_string("a\\u0041\\\\\"/\n\u00e9\U0001f600\\", out);
  EXPECT_EQ(out, R"(>"a\\u0041\\\\\"/\n\u00e9\ud83d\ude00\\")");
  out.clear();
  write_string("", out);
  EXPECT_EQ(out, R"("")");
}

TEST(WriteString, does_not_read_beyond_a_text_that_is_no_utf8) {
  for (const std::string text : {"\xe9", "PUT\xe2\x82", "\xff", "a\xf0\x9f"}) {
    std::string out;
    write_string(std::string_view(text), out);
    EXPECT_TRUE(out.ends_with("\\ufffd\"")) << out;
  }
}

}  // namespace canonical_test
}  // namespace steelyard::json
