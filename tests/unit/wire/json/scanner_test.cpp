// Objects in one piece and split at every byte.
#include "wire/json/scanner.hpp"

#include <string>

#include "wire/json/replay.hpp"
#include "wire/json/string_text.hpp"

namespace steelyard::json {
namespace scanner_test {

using namespace std::string_literals;

std::string nested(std::size_t depth, std::string_view open, std::string_view close) {
  std::string text = R"({"a": )";
  for (std::size_t i = 1; i < depth; ++i) text += open;
  text += "1";
  for (std::size_t i = 1; i < depth; ++i) text += close;
  return text + "}";
}

// Whether `value` may be a member's value.
std::string refusal_of(std::string_view value) { return scan(R"({"a": )" + std::string(value) + "}").refused; }
std::string refusal_of_string(std::string_view raw) { return refusal_of('"' + std::string(raw) + '"'); }

TEST(ObjectScanner, tells_where_members_lie) {
  const Scanned scanned = scan(R"({"type": "1", "n":-12.5e+3 ,"o": {"x": [1, "}"]}, "l": [ ], "t":true,"f":false,"z":null})");
  const std::vector<ScannedMember> expected = {
      {"type", "1", Kind::string}, {"n", "-12.5e+3", Kind::number}, {"o", R"({"x": [1, "}"]})", Kind::object},
      {"l", "[ ]", Kind::array},   {"t", "true", Kind::boolean},    {"f", "false", Kind::boolean},
      {"z", "null", Kind::null}};
  EXPECT_EQ(scanned.members, expected);
  EXPECT_EQ(scanned.refused, "");
}

TEST(ObjectScanner, stops_behind_the_object) {
  const std::string object = R"({"a": {"b": "}"}})";
  for (const std::string_view behind : {"", "{", "}", " ", "\xff", "garbage"}) {
    EXPECT_EQ(scan(object + std::string(behind)).consumed, object.size()) << behind;
  }
  EXPECT_EQ(scan("{}").consumed, 2U);
  EXPECT_EQ(scan("{}{}").consumed, 2U);
}

TEST(ObjectScanner, takes_blanks_for_a_part_of_the_object_behind_them) {
  EXPECT_EQ(scan(" \t\r\n{ }x").consumed, 7U);
  const Scanned blanks = scan(" \n ");
  EXPECT_EQ(blanks.consumed, 0U);
  EXPECT_EQ(blanks.offset, 3U);
  EXPECT_EQ(blanks.refused, "");
}

TEST(ObjectScanner, knows_whether_anything_has_begun) {
  ObjectScanner scanner;
  EXPECT_EQ(scanner.feed(" "), std::size_t{0});
  EXPECT_TRUE(scanner.blank());
  EXPECT_EQ(scanner.feed(" {"), std::size_t{0});
  EXPECT_FALSE(scanner.blank());
}

TEST(ObjectScanner, is_not_done_before_the_last_byte) {
  const std::string object = R"({"a": [1.5, "x\u00e9\ud83d\ude00\n", true], "b": {"c": null}})";
  for (std::size_t size = 0; size < object.size(); ++size) {
    const Scanned scanned = scan(std::string_view(object).substr(0, size));
    EXPECT_EQ(scanned.consumed, 0U) << size;
    EXPECT_EQ(scanned.refused, "") << size;
  }
  EXPECT_EQ(scan(object).consumed, object.size());
}

TEST(ObjectScanner, looks_at_nothing_twice) {
  ObjectScanner scanner;
  EXPECT_EQ(scanner.feed(R"({"a": "b)"), std::size_t{0});
  // What was looked at may be anything now, but for the names of members.
  EXPECT_EQ(scanner.feed("???\x01?????\"}"), std::size_t{11});
}

TEST(ObjectScanner, keeps_its_outcome_until_it_is_reset) {
  ObjectScanner scanner;
  EXPECT_EQ(scanner.feed("{}"), std::size_t{2});
  EXPECT_EQ(scanner.feed("{}]"), std::size_t{2});
  scanner.reset();
  EXPECT_EQ(scanner.feed(R"([{"a":1}])").error().offset, 0U);
  EXPECT_EQ(scanner.feed(R"([{"a":1}])").error().offset, 0U);
  scanner.reset();
  const std::string_view object = R"({"a":1})";
  EXPECT_EQ(scanner.feed(object), object.size());
  EXPECT_EQ(scanner.object(object).members.size(), 1U);
}

TEST(ObjectScanner, refuses_what_is_no_object) {
  for (const std::string_view text : {"[", "[{}]", "1", "\"a\"", "null", "}", "a", "\xef\xbb\xbf{}", "\v{}", "GET / HTTP/1.1"}) {
    EXPECT_EQ(scan(text).refused, "It does not begin with an object.") << text;
  }
}

TEST(ObjectScanner, refuses_other_structure_than_the_grammar) {
  for (const std::string_view text :
       {R"({,})",       R"({"a"})",       R"({"a":})",     R"({"a",1})",     R"({"a":1,})",  R"({"a":1,,"b":2})", R"({"a":1 "b":2})",
        R"({"a":1:2})", R"({"a":[1,]})",  R"({"a":[,1]})", R"({"a":[1 2]})", R"({"a":[1}})", R"({"a":{"b":1]})",  R"({"a":[1:2]})",
        R"({a:1})",     R"({'a':1})",     R"({1:1})",      R"({null:1})",    R"({"a"::1})",  R"({"a":1]})",       R"({"a":"b""c"})",
        R"({{}:1})",    R"({"a":/**/1})", R"({"a":1//
})",     R"({]})"}) {
    EXPECT_NE(scan(text).refused, "") << text;
  }
}

TEST(ObjectScanner, accepts_every_number_of_the_grammar) {
  for (const std::string_view number :
       {"0", "-0", "1", "10", "-19", "0.0", "0.10", "10.01", "1e5", "1E5", "1e+5", "1e-5", "0e0", "1.5e05", "-0.0E-0", "1e999"}) {
    EXPECT_EQ(refusal_of(number), "") << number;
    EXPECT_EQ(refusal_of("[" + std::string(number) + "]"), "") << number;
    EXPECT_EQ(refusal_of(std::string(number) + " "), "") << number;
  }
}

TEST(ObjectScanner, refuses_every_other_number) {
  for (const std::string_view number :
       {"01",    "-01",   "00",  "+1",  ".5", "1.", "-",   "--1",      "1.e5",      "1e",  "1e+", "1e+-5",   "1.5.5",
        "1e5.5", "1e5e5", "0x1", "1_0", "1a", "-a", "-.5", "Infinity", "-Infinity", "NaN", "1,5", "\xd9\xa1"}) {
    EXPECT_NE(refusal_of(number), "") << number;
  }
}

TEST(ObjectScanner, bounds_numbers) {
  const ScanLimits limits{.number_bytes_max = 5};
  for (const std::string_view number : {"12345", "-1234", "1.234", "12e45"}) {
    EXPECT_EQ(scan(R"({"a":)" + std::string(number) + "}", limits).refused, "") << number;
  }
  for (const std::string_view number : {"123456", "-12345", "1.2345", "12e456", "0.0000"}) {
    EXPECT_EQ(scan(R"({"a":)" + std::string(number) + "}", limits).refused, "A number is too long.") << number;
  }
}

TEST(ObjectScanner, knows_the_three_literals) {
  for (const std::string_view literal : {"true", "false", "null"}) EXPECT_EQ(refusal_of(literal), "") << literal;
  for (const std::string_view literal : {"True", "tru", "truee", "nul", "nulll", "undefined", "falsE", "t", "TRUE"}) {
    EXPECT_NE(refusal_of(literal), "") << literal;
  }
}

TEST(ObjectScanner, accepts_every_escape_of_the_grammar) {
  for (const std::string_view raw : {R"(\" \\ \/ \b \f \n \r \t)", R"(\u0000)", R"(\u00E9\u00e9)", R"(\uffff)", R"(\ud83d\ude00)",
                                     R"(\uD800\uDC00\uDBFF\uDFFF)", R"(\\u)", "\x7f"}) {
    EXPECT_EQ(refusal_of_string(raw), "") << raw;
  }
}

TEST(ObjectScanner, refuses_other_escapes) {
  for (const std::string_view raw :
       {R"(\a)", R"(\')", R"(\x41)", R"(\0)", R"(\U0041)", R"(\u004)", R"(\u 041)", R"(\u00g0)", R"(\u+041)", "\\\n"}) {
    EXPECT_EQ(refusal_of_string(raw), "A string has an escape that does not exist.") << raw;
  }
}

TEST(ObjectScanner, refuses_half_a_surrogate_pair) {
  for (const std::string_view raw : {R"(\ud83d)", R"(\ud83dx)", R"(\ud83d\n)", R"(\ud83d\ud83d)", R"(\ud83d\u0041)", R"(\ud83d\\ude00)"}) {
    EXPECT_EQ(refusal_of_string(raw), "An escaped surrogate has no second half.") << raw;
  }
  for (const std::string_view raw : {R"(\ude00)", R"(\ude00\ud83d)", R"(\ud83d\ude00\ude00)"}) {
    EXPECT_EQ(refusal_of_string(raw), "An escaped surrogate has no first half.") << raw;
  }
}

TEST(ObjectScanner, refuses_control_characters_in_strings) {
  for (char c = 0; c < ' '; ++c) {
    EXPECT_EQ(refusal_of_string({&c, 1}), "A string has a control character that is not escaped.") << static_cast<int>(c);
  }
}

TEST(ObjectScanner, refuses_nul_anywhere) {
  const std::string object = R"( {"a" : [ 1 , "b\n\u0041é" , true ] })";
  for (std::size_t at = 0; at < object.size(); ++at) {
    std::string with_nul = object;
    with_nul.insert(at, 1, '\0');
    const Scanned scanned = scan(with_nul);
    EXPECT_NE(scanned.refused, "") << at;
    EXPECT_EQ(scanned.offset, at);
  }
}

TEST(ObjectScanner, accepts_utf8) {
  for (const std::string_view raw : {"\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbf",
                                     "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "\xef\xbb\xbf"}) {
    EXPECT_EQ(refusal_of_string(raw), "");
    EXPECT_EQ(scan("{\"" + std::string(raw) + "\": 1}").refused, "");
  }
}

TEST(ObjectScanner, refuses_what_is_not_utf8) {
  for (const std::string_view raw : {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2\xc2", "\xe0\x80\x80", "\xe0\x9f\xbf",
                                     "\xed\xa0\x80", "\xed\xbf\xbf", "\xe2\x82", "\xf0\x80\x80\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80",
                                     "\xf5\x80\x80\x80", "\xf0\x9f\x98", "\xfe", "\xff", "\xe2\x28\xa1"}) {
    EXPECT_EQ(refusal_of_string(raw), "A string is not UTF-8.");
    EXPECT_EQ(scan("{\"" + std::string(raw) + "\": 1}").refused, "A string is not UTF-8.");
  }
}

TEST(ObjectScanner, refuses_characters_beyond_ascii_outside_strings) {
  for (const std::string_view text : {"{\xc2\xa0}", "{\"a\"\xe2\x80\x83: 1}", "{\"a\": 1\xc2\x85}"}) EXPECT_NE(scan(text).refused, "");
}

TEST(ObjectScanner, bounds_the_depth) {
  const ScanLimits limits{.depth_max = 4};
  EXPECT_EQ(scan(nested(4, "[", "]"), limits).refused, "");
  EXPECT_EQ(scan(nested(4, R"({"b":)", "}"), limits).refused, "");
  EXPECT_EQ(scan(nested(5, "[", "]"), limits).refused, "It is nested too deeply.");
  EXPECT_EQ(scan(nested(5, R"({"b":)", "}"), limits).refused, "It is nested too deeply.");
  EXPECT_EQ(scan(nested(32, "[", "]")).refused, "");
  EXPECT_EQ(scan(nested(33, "[", "]")).refused, "It is nested too deeply.");
  EXPECT_EQ(scan(nested(64, "[", "]"), {.depth_max = 64}).refused, "");
  EXPECT_EQ(scan(nested(65, "[", "]"), {.depth_max = 64}).refused, "It is nested too deeply.");
}

TEST(ObjectScanner, knows_objects_from_arrays_at_every_depth) {
  const Scanned scanned = scan(R"({"a":[{"b":[[{"c":{}}],{}]},[]],"d":{"e":[{}]}})");
  EXPECT_EQ(scanned.refused, "");
  ASSERT_EQ(scanned.members.size(), 2U);
  EXPECT_EQ(scanned.members[1].name, "d");
  EXPECT_EQ(scan(R"({"a":[{"b":[[{"c":{}}],{}}]})").refused, "An array is closed with }.");
  EXPECT_EQ(scan(R"({"a":[{"b":1]]})").refused, "An object is closed with ].");
}

TEST(ObjectScanner, bounds_the_members_of_the_outermost_object_only) {
  const ScanLimits limits{.members_max = 2};
  EXPECT_EQ(scan(R"({"a":1,"b":{"c":1,"d":2,"e":3,"f":4}})", limits).refused, "");
  EXPECT_EQ(scan(R"({"a":1,"b":2,"c":3})", limits).refused, "The object has too many members.");
}

TEST(ObjectScanner, refuses_names_that_stand_twice) {
  for (const std::string_view text : {R"({"a":1,"a":1})", R"({"a":1,"b":2,"a":3})", R"({"a":1,"\u0061":2})", R"({"\u00e9":1,"é":2})",
                                      R"({"":1,"":2})", R"({"\ud83d\ude00":1,"😀":2})", R"({"a\/b":1,"a/b":2})"}) {
    EXPECT_EQ(scan(text).refused, "A name stands twice in the object.") << text;
  }
  for (const std::string_view text : {R"({"a":1,"A":1,"a ":1,"":1,"aa":1})", R"({"a":{"a":1}, "b":{"a":1}})", R"({"\\u0061":1,"a":2})",
                                      R"({"\u0061b":1,"\u0061":2,"\u0061\u0062c":3})"}) {
    EXPECT_EQ(scan(text).refused, "") << text;
  }
}

TEST(Object, finds_members_by_what_their_names_say) {
  ObjectScanner scanner;
  const std::string_view text = R"({"a": 1, "\u0062\/": 2, "é": 3})";
  ASSERT_EQ(scanner.feed(text), text.size());
  const Object object = scanner.object(text);
  ASSERT_NE(object.find("b/"), nullptr);
  EXPECT_EQ(object.value(*object.find("b/")), "2");
  EXPECT_EQ(object.value(*object.find("é")), "3");
  EXPECT_EQ(object.find("b"), nullptr);
  EXPECT_EQ(object.find(R"(\u0062\/)"), nullptr);
}

TEST(Unescape, takes_every_escape_off) {
  const auto unescaped = [](std::string_view raw) {
    std::string text = ">";
    unescape(raw, text);
    return text;
  };
  EXPECT_EQ(unescaped(""), ">");
  EXPECT_EQ(unescaped("plain é"), ">plain é");
  EXPECT_EQ(unescaped(R"(\"\\\/\b\f\n\r\t)"), ">\"\\/\b\f\n\r\t");
  EXPECT_EQ(unescaped(R"(a\u0062\u00e9\u20AC\ud83d\uDE00z)"), ">ab\u00e9\u20ac\U0001f600z");
  EXPECT_EQ(unescaped(R"(\\u0062)"), R"(>\u0062)");
  EXPECT_EQ(unescaped(R"(\u0000)"), ">\0"s);
  EXPECT_EQ(unescaped(R"(\uFFFF\uDBFF\uDFFF)"), ">\uffff\U0010ffff");
}

}  // namespace scanner_test
}  // namespace steelyard::json
