#include "observe/access_format.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "base/prng.hpp"
#include "fixtures.hpp"

namespace steelyard {
namespace access_format_test {

using test::ordinary_record;

std::string line(LineStyle style, const AccessRecord& record) {
  std::string text(AccessFormat::line_bytes_max, 0);
  AccessFormat format(style);
  text.resize(format.write(text.data(), record));
  return text;
}

nlohmann::json parsed(const AccessRecord& record) {
  const std::string text = line(LineStyle::json, record);
  EXPECT_EQ(text.find('\n'), text.size() - 1);
  return nlohmann::json::parse(text);
}

TEST(AccessFormat, writes_every_part_as_json) {
  AccessRecord record = ordinary_record();
  record.failure = "connection refused";
  record.outcome = Outcome::truncated;
  record.request_bytes = 17;
  const nlohmann::json expected = {{"time", "2026-11-21T03:10:29.123456Z"},
                                   {"client", "127.0.0.1"},
                                   {"client_port", 40000},
                                   {"method", "GET"},
                                   {"host", "example.com"},
                                   {"target", "/a?b=c"},
                                   {"protocol", "HTTP/1.1"},
                                   {"status", 200},
                                   {"outcome", "truncated"},
                                   {"request_bytes", 17},
                                   {"response_bytes", 1234},
                                   {"duration_ms", 12.345},
                                   {"connect_ms", 0.25},
                                   {"first_byte_ms", 10.0},
                                   {"tries", 1},
                                   {"route", "all"},
                                   {"pool", "api"},
                                   {"server", "10.0.0.5:8001"},
                                   {"request_id", "7f3a"},
                                   {"user_agent", "curl/8"},
                                   {"failure", "connection refused"}};
  EXPECT_EQ(parsed(record), expected);
}

TEST(AccessFormat, writes_what_was_demanded_and_by_whom_it_was_met) {
  AccessRecord record = ordinary_record();
  record.policy_label = "privacy";
  EXPECT_EQ(parsed(record)["policy"], (nlohmann::json{{"label", "privacy"}})) << "nothing was demanded";
  record.policy = "222";
  EXPECT_EQ(parsed(record)["policy"], (nlohmann::json{{"label", "privacy"}, {"demanded", "222"}}));
  record.policy_met = "222";
  const std::vector<PolicyMet> also(policy_also_max + 1, PolicyMet{"b", "2\"2"});
  record.policy_also = std::span(also).first(2);
  const nlohmann::json other{{"server", "b"}, {"met_by", "2\"2"}};
  EXPECT_EQ(parsed(record)["policy"],
            (nlohmann::json{{"label", "privacy"}, {"demanded", "222"}, {"met_by", "222"}, {"also", {other, other}}}));
  record.policy_also = also;
  EXPECT_EQ(parsed(record)["policy"]["also"].size(), policy_also_max);
  EXPECT_NE(line(LineStyle::human, record).find("  → api/10.0.0.5:8001  privacy=222"), std::string::npos);
  EXPECT_FALSE(parsed(ordinary_record()).contains("policy"));
  EXPECT_EQ(line(LineStyle::human, ordinary_record()).find('='), line(LineStyle::human, ordinary_record()).find("=c"));
}

TEST(AccessFormat, has_room_for_the_longest_policies) {
  AccessRecord record = ordinary_record();
  const std::string longest(300, '\x01');
  const std::vector<PolicyMet> also(policy_also_max, PolicyMet{longest, longest});
  record.policy_label = record.policy = record.policy_met = record.pool = record.server = record.route = longest;
  record.target = record.host = record.user_agent = record.failure = record.request_id = record.method = record.protocol = longest;
  record.policy_also = also;
  EXPECT_EQ(parsed(record)["policy"]["also"].size(), policy_also_max);
  const std::string kept(256, 'v');
  record.policy = kept;
  EXPECT_EQ(parsed(record)["policy"]["demanded"], kept);
}

TEST(AccessFormat, leaves_out_what_is_not_known) {
  const nlohmann::json json = parsed(AccessRecord{});
  for (const char* key : {"route", "pool", "server", "failure", "user_agent", "request_id", "connect_ms", "first_byte_ms"}) {
    EXPECT_FALSE(json.contains(key)) << key;
  }
  EXPECT_EQ(json["status"], 0);
  EXPECT_EQ(json["time"], "1970-01-01T00:00:00.000000Z");
}

TEST(AccessFormat, follows_the_time_from_second_to_second) {
  AccessFormat format(LineStyle::json);
  std::string text(AccessFormat::line_bytes_max, 0);
  AccessRecord record;
  const auto time_at = [&](std::int64_t unix_us) {
    record.unix_us = unix_us;
    const std::size_t size = format.write(text.data(), record);
    return nlohmann::json::parse(text.substr(0, size))["time"].get<std::string>();
  };
  EXPECT_EQ(time_at(1'709'251'199'999'999), "2024-02-29T23:59:59.999999Z");
  EXPECT_EQ(time_at(1'709'251'200'000'000), "2024-03-01T00:00:00.000000Z");
  EXPECT_EQ(time_at(1'709'251'199'000'001), "2024-02-29T23:59:59.000001Z");
  EXPECT_EQ(time_at(-1), "1969-12-31T23:59:59.999999Z");
}

TEST(AccessFormat, is_one_line_of_json_for_every_byte_in_every_place) {
  for (int byte = 0; byte < 256; ++byte) {
    for (const char* around : {"", "1234567", "0123456789abcdef"}) {
      const std::string text = std::string(around) + static_cast<char>(byte) + "x";
      AccessRecord record = ordinary_record();
      record.method = record.host = record.target = record.protocol = record.route = record.pool = record.server = text;
      record.request_id = record.user_agent = record.failure = text;
      const nlohmann::json json = parsed(record);
      std::string latin1 = around;
      if (byte < 0x80) {
        latin1 += static_cast<char>(byte);
      } else {
        latin1 += static_cast<char>(0xc0 | byte >> 6);
        latin1 += static_cast<char>(0x80 | (byte & 0x3f));
      }
      for (const char* key : {"method", "host", "target", "protocol", "route", "pool", "server", "request_id", "user_agent", "failure"}) {
        EXPECT_EQ(json[key], latin1 + "x") << byte << ' ' << key;
      }
    }
  }
}

TEST(AccessFormat, is_one_line_of_printable_json_for_random_bytes) {
  Prng random(1);
  for (int round = 0; round < 2000; ++round) {
    std::string noise(random.below(600), 0);
    for (char& c : noise) c = static_cast<char>(random.below(round % 2 == 0 ? 256 : 64) + (round % 2 == 0 ? 0 : 0xa0));
    AccessRecord record = ordinary_record();
    record.target = record.user_agent = record.host = noise;
    const std::string text = line(LineStyle::json, record);
    EXPECT_TRUE(nlohmann::json::accept(text));
    EXPECT_EQ(std::count_if(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }), 1);
  }
}

TEST(AccessFormat, keeps_utf8_and_escapes_what_deceives_the_eye) {
  AccessRecord record = ordinary_record();
  record.target = "/größe/日本/😀";
  record.user_agent = "a\u2028b\u202Ec\u2066d\u0085e\u009b31mf";
  const std::string text = line(LineStyle::json, record);
  EXPECT_NE(text.find("/größe/日本/😀"), std::string::npos);
  EXPECT_NE(text.find(R"(a\u2028b\u202ec\u2066d\u0085e\u009b31mf)"), std::string::npos);
  EXPECT_EQ(nlohmann::json::parse(text)["user_agent"], record.user_agent);
}

TEST(AccessFormat, takes_ill_formed_utf8_as_single_bytes) {
  for (const char* ill : {"\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\xe2\x82", "\x80"}) {
    AccessRecord record = ordinary_record();
    record.target = ill;
    std::string expected;
    for (const char* c = ill; *c != 0; ++c) expected += fmt::format("\\u00{:02x}", static_cast<unsigned char>(*c));
    EXPECT_NE(line(LineStyle::json, record).find("\"target\":\"" + expected + "\""), std::string::npos) << expected;
  }
}

TEST(AccessFormat, cuts_long_texts_between_characters) {
  AccessRecord record = ordinary_record();
  const std::string long_agent(1 << 20, 'a');
  record.user_agent = long_agent;
  EXPECT_EQ(parsed(record)["user_agent"], std::string(256, 'a') + "…");
  const std::string target = std::string(1022, 'a') + "日本";
  record.target = target;
  EXPECT_EQ(parsed(record)["target"], std::string(1022, 'a') + "…");
  const std::string fitting(1024, 'b');
  record.target = fitting;
  EXPECT_EQ(parsed(record)["target"], fitting);
}

TEST(AccessFormat, never_exceeds_its_bound) {
  const std::string worst(5000, '\x01');
  AccessRecord record = ordinary_record();
  record.method = record.host = record.target = record.protocol = record.route = record.pool = record.server = worst;
  record.request_id = record.user_agent = record.failure = worst;
  record.request_bytes = record.response_bytes = UINT64_MAX;
  record.duration = record.connect_time = record.first_byte_time = Duration::max();
  record.unix_us = INT64_MAX;
  record.tries = UINT32_MAX;
  for (const LineStyle style : {LineStyle::json, LineStyle::human, LineStyle::coloured}) {
    const std::string text = line(style, record);
    EXPECT_LE(text.size(), AccessFormat::line_bytes_max);
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
  }
}

TEST(AccessFormat, sets_columns_for_people) {
  AccessRecord record = ordinary_record();
  EXPECT_EQ(line(LineStyle::human, record),
            "2026-11-21 03:10:29.123  200  GET         12.345 ms       1234 B  127.0.0.1        example.com/a?b=c  "
            "→ api/10.0.0.5:8001\n");
  record.status = 0;
  record.method = "OPTIONS";
  record.tries = 2;
  record.outcome = Outcome::client_gone;
  record.failure = "reset";
  EXPECT_EQ(line(LineStyle::human, record),
            "2026-11-21 03:10:29.123  ---  OPTIONS     12.345 ms       1234 B  127.0.0.1        example.com/a?b=c  → api/10.0.0.5:8001"
            "  (2 tries)  client_gone: reset\n");
}

TEST(AccessFormat, colours_the_status_only_when_asked) {
  AccessRecord record = ordinary_record();
  record.target = "/\x1b[2J\r\n";
  EXPECT_EQ(line(LineStyle::human, record).find('\x1b'), std::string::npos);
  EXPECT_NE(line(LineStyle::human, record).find("/\\u001b[2J\\r\\n"), std::string::npos);
  record.status = 503;
  EXPECT_NE(line(LineStyle::coloured, record).find("\x1b[31m503\x1b[0m"), std::string::npos);
}

}  // namespace access_format_test
}  // namespace steelyard
