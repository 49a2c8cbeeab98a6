// What a request demands: from each source, and what is refused because two readers could disagree about it.
#include "decide/policy/demand.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace steelyard::policy {
namespace demand_test {

using Kind = SourceOptions::Kind;

struct FieldLine {
  std::string_view name;
  std::string_view value;
  http::FieldName id = http::FieldName::other;
};

http::RequestHead head_of(const std::vector<FieldLine>& lines) {
  http::RequestHead head;
  for (const FieldLine& line : lines) EXPECT_TRUE(head.fields.push_back({line.name, line.value, line.id, false}));
  return head;
}

// The value, "absent" or "ambiguous".
std::string said(const Reading& reading) {
  switch (reading.kind) {
    case Reading::Kind::found: EXPECT_FALSE(reading.value.empty()); return std::string(reading.value);
    case Reading::Kind::absent: return "absent";
    case Reading::Kind::ambiguous: EXPECT_STRNE(reading.reason, ""); return "ambiguous";
  }
  return "";
}

std::string by_header(const std::vector<FieldLine>& lines) {
  std::string memory;
  return said(read_head({.kind = Kind::header, .name = "X-Privacy-Policy"}, head_of(lines), "/", memory));
}

std::string by_cookie(const std::vector<std::string_view>& values) {
  std::vector<FieldLine> lines;
  for (const std::string_view value : values) lines.push_back({"Cookie", value, http::FieldName::cookie});
  std::string memory;
  return said(read_head({.kind = Kind::cookie, .name = "policy"}, head_of(lines), "/", memory));
}

std::string by_query(std::string_view query) {
  http::RequestHead head;
  head.query = query;
  std::string memory;
  return said(read_head({.kind = Kind::query, .name = "policy"}, head, "/", memory));
}

std::string by_segment(std::uint32_t number, std::string_view path) {
  std::string memory;
  return said(read_head({.kind = Kind::segment, .segment = number}, {}, path, memory));
}

std::string by_host(std::string_view authority) {
  http::RequestHead head;
  head.authority = authority;
  std::string memory;
  return said(read_head({.kind = Kind::host}, head, "/", memory));
}

std::string by_json(std::string_view body) {
  std::string memory;
  return said(read_json_body("policy", body, memory));
}

TEST(Demand, of_no_source_and_of_a_body_is_absent_in_a_head) {
  std::string memory;
  const http::RequestHead head = head_of({{"policy", "222"}});
  EXPECT_EQ(said(read_head({}, head, "/222", memory)), "absent");
  EXPECT_EQ(said(read_head({.kind = Kind::json, .name = "policy"}, head, "/222", memory)), "absent");
}

TEST(Demand, is_a_header_fields_value_in_whatever_case_its_name_is) {
  EXPECT_EQ(by_header({}), "absent");
  EXPECT_EQ(by_header({{"X-Other", "1"}, {"X-Privacy-Policy", "222"}}), "222");
  EXPECT_EQ(by_header({{"x-privacy-policy", " 222\t"}}), "222");
  EXPECT_EQ(by_header({{"X-Privacy-Policy", "aBc"}}), "aBc");
  EXPECT_EQ(by_header({{"X-Privacy-Policy-2", "222"}, {"Privacy-Policy", "222"}}), "absent");
}

TEST(Demand, twice_in_header_fields_is_refused_unless_both_agree) {
  EXPECT_EQ(by_header({{"X-Privacy-Policy", "222"}, {"X-PRIVACY-POLICY", "222"}}), "222");
  EXPECT_EQ(by_header({{"X-Privacy-Policy", "222"}, {"X-PRIVACY-POLICY", "111"}}), "ambiguous");
  EXPECT_EQ(by_header({{"X-Privacy-Policy", "222"}, {"X-Privacy-Policy", ""}}), "ambiguous");
  EXPECT_EQ(by_header({{"X-Privacy-Policy", "1"}, {"X-Privacy-Policy", "2"}, {"X-Privacy-Policy", "1"}}), "ambiguous");
}

TEST(Demand, that_is_empty_is_refused) {
  EXPECT_EQ(by_header({{"X-Privacy-Policy", ""}}), "ambiguous");
  EXPECT_EQ(by_header({{"X-Privacy-Policy", " \t"}}), "ambiguous");
  EXPECT_EQ(by_cookie({"policy="}), "ambiguous");
  EXPECT_EQ(by_cookie({"policy"}), "ambiguous");
  EXPECT_EQ(by_cookie({"policy=\"\""}), "ambiguous");
  EXPECT_EQ(by_query("policy="), "ambiguous");
  EXPECT_EQ(by_query("policy"), "ambiguous");
  EXPECT_EQ(by_json(R"({"policy":""})"), "ambiguous");
}

TEST(Demand, in_a_field_with_an_underscore_is_refused_because_some_servers_take_it_for_the_same) {
  EXPECT_EQ(by_header({{"X_Privacy_Policy", "222"}}), "ambiguous");
  EXPECT_EQ(by_header({{"X-Privacy-Policy", "222"}, {"x_privacy-policy", "222"}}), "ambiguous");
}

TEST(Demand, is_a_cookies_value) {
  EXPECT_EQ(by_cookie({}), "absent");
  EXPECT_EQ(by_cookie({"a=1; policy=222; b=2"}), "222");
  EXPECT_EQ(by_cookie({"a=1", "policy=222"}), "222");
  EXPECT_EQ(by_cookie({"policy=\"222\""}), "222");
  EXPECT_EQ(by_cookie({"policy=2=2"}), "2=2");
  EXPECT_EQ(by_cookie({"policy=222;policy=222"}), "222");
  EXPECT_EQ(by_cookie({"mypolicy=1; policy2=2; ; =;"}), "absent");
}

TEST(Demand, of_two_cookies_or_of_one_that_not_all_read_alike_is_refused) {
  EXPECT_EQ(by_cookie({"policy=222; policy=111"}), "ambiguous");
  EXPECT_EQ(by_cookie({"policy=222", "policy=111"}), "ambiguous");
  EXPECT_EQ(by_cookie({"policy =222"}), "ambiguous");
  EXPECT_EQ(by_cookie({"policy=222; Policy=222"}), "ambiguous");
  EXPECT_EQ(by_cookie({"policy=222; policy"}), "ambiguous");
}

TEST(Demand, is_a_query_parameter_decoded) {
  EXPECT_EQ(by_query(""), "absent");
  EXPECT_EQ(by_query("a=1&b=2"), "absent");
  EXPECT_EQ(by_query("a=1&policy=222"), "222");
  EXPECT_EQ(by_query("%70olicy=222"), "222");
  EXPECT_EQ(by_query("polic%79=%32%32%32"), "222");
  EXPECT_EQ(by_query("policy=a+b%20c%2Bd"), "a b c+d");
  EXPECT_EQ(by_query("policy=2=2"), "2=2");
  EXPECT_EQ(by_query("policy=222&policy=%3222"), "222");
}

TEST(Demand, of_a_query_cannot_hide_behind_encodings) {
  EXPECT_EQ(by_query("policy=222&%70olicy=111"), "ambiguous");
  EXPECT_EQ(by_query("%70olicy=222&policy=111"), "ambiguous");
  EXPECT_EQ(by_query("%u0070olicy=222"), "ambiguous");
  EXPECT_EQ(by_query("policy%00=222"), "ambiguous");
  EXPECT_EQ(by_query("policy=22%"), "ambiguous");
  EXPECT_EQ(by_query("policy=22%3"), "ambiguous");
  EXPECT_EQ(by_query("policy=%zz"), "ambiguous");
  EXPECT_EQ(by_query("+policy=222"), "ambiguous");
  EXPECT_EQ(by_query("POLICY=222"), "ambiguous");
}

TEST(Demand, of_a_query_cannot_hide_behind_semicolons) {
  EXPECT_EQ(by_query("a=1;policy=222"), "ambiguous");
  EXPECT_EQ(by_query("a=1;b;%70olicy=222&policy=222"), "ambiguous");
  EXPECT_EQ(by_query("policy=222;a=1"), "ambiguous");
  EXPECT_EQ(by_query("a=1;b=2&policy=222"), "222");
}

TEST(Demand, of_a_query_is_not_disturbed_by_broken_values_of_others) { EXPECT_EQ(by_query("a=%zz&policy=222&b=100%"), "222"); }

TEST(Demand, of_long_queries_stays_where_it_was_decoded) {
  std::string query;
  for (int i = 0; i < 500; ++i) query += "policy=%32%32%32&x=%41&";
  EXPECT_EQ(by_query(query), "222");
  EXPECT_EQ(by_query(query + "policy=%33"), "ambiguous");
}

TEST(Demand, is_a_segment_of_the_path_decoded) {
  EXPECT_EQ(by_segment(1, "/222/orders"), "222");
  EXPECT_EQ(by_segment(2, "/v1/222"), "222");
  EXPECT_EQ(by_segment(2, "/v1/a%20b%2Fc/x"), "a b/c");
  EXPECT_EQ(by_segment(1, "/a+b"), "a+b");
  EXPECT_EQ(by_segment(3, "/v1/222"), "absent");
  EXPECT_EQ(by_segment(2, "/222/"), "absent");
  EXPECT_EQ(by_segment(1, "/"), "absent");
  EXPECT_EQ(by_segment(1, "*"), "absent");
}

TEST(Demand, is_the_host_without_port_and_final_dot_in_lower_case) {
  EXPECT_EQ(by_host("Strict.Example.COM"), "strict.example.com");
  EXPECT_EQ(by_host("strict.example.com.:8080"), "strict.example.com");
  EXPECT_EQ(by_host("strict.example.com:"), "strict.example.com");
  EXPECT_EQ(by_host("[::1]:80"), "[::1]");
  EXPECT_EQ(by_host(""), "absent");
}

TEST(Demand, is_a_member_of_a_json_object) {
  EXPECT_EQ(by_json(R"({"policy":"222"})"), "222");
  EXPECT_EQ(by_json(R"( {"a":{"policy":"1"},"b":["policy"],"policy" : 222} )"), "222");
  EXPECT_EQ(by_json(R"({"\u0070olicy":"2\u0032\u00e4"})"), "22ä");
  EXPECT_EQ(by_json(R"({"policy":-7})"), "-7");
  EXPECT_EQ(by_json(R"({"a":1})"), "absent");
  EXPECT_EQ(by_json("{}"), "absent");
  EXPECT_EQ(by_json(""), "absent");
}

TEST(Demand, of_a_body_that_two_readers_could_read_differently_is_refused) {
  for (const char* body : {"x", "[]", "222", "\"policy\"", "{", R"({"policy":"222")", R"({"policy":"222"} x)",
                           R"({"policy":"222"}{"policy":"111"})", R"({"policy":"222","policy":"222"})",
                           R"({"policy":"222","\u0070olicy":"111"})", R"({"policy":"222","Policy":"111"})", R"({"POLICY":"222"})",
                           R"({policy:222})", R"({'policy':'222'})", "\xef\xbb\xbf{\"policy\":\"222\"}", "{\"policy\":\"2\n2\"}", " "}) {
    EXPECT_EQ(by_json(body), "ambiguous") << body;
  }
}

TEST(Demand, of_a_member_that_is_neither_text_nor_whole_number_is_refused) {
  for (const char* value : {"null", "true", "[222]", R"({"a":222})", "2.0", "2e2", "2E2", "0.2"}) {
    EXPECT_EQ(by_json(std::string(R"({"policy":)") + value + "}"), "ambiguous") << value;
  }
}

}  // namespace demand_test
}  // namespace steelyard::policy
