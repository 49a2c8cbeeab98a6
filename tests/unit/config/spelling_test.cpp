#include "config/spelling.hpp"

#include <gtest/gtest.h>

namespace steelyard::config {
namespace spelling_test {

TEST(Duration, is_a_number_and_a_unit) {
  EXPECT_EQ(parse_duration("30s"), 30s);
  EXPECT_EQ(parse_duration("250ms"), 250ms);
  EXPECT_EQ(parse_duration("7us"), 7us);
  EXPECT_EQ(parse_duration("7ns"), 7ns);
  EXPECT_EQ(parse_duration("2m"), 2min);
  EXPECT_EQ(parse_duration("1h"), 1h);
  EXPECT_EQ(parse_duration("1.5s"), 1500ms);
  EXPECT_EQ(parse_duration("0us"), 0s);
}

TEST(Duration, without_unit_is_told_how_to_write_it) {
  EXPECT_EQ(parse_duration("30").error(), R"(needs a unit: write "30s" for seconds, or use ms, us, m or h)");
}

TEST(Duration, refuses_what_is_none) {
  for (const char* text :
       {"", "s", "-1s", "+1s", "1 s", "1d", "1S", "1.s", ".5s", "1..5s", "1e3s", "99999999999999999999s", "9999999h", "0.5ns"}) {
    EXPECT_FALSE(parse_duration(text)) << text;
  }
}

TEST(Duration, is_spelled_in_the_largest_whole_unit) {
  EXPECT_EQ(spell_duration(90s), "90s");
  EXPECT_EQ(spell_duration(120s), "2m");
  EXPECT_EQ(spell_duration(1500ms), "1500ms");
  EXPECT_EQ(spell_duration(0s), "0s");
  EXPECT_EQ(spell_duration(1ns), "1ns");
}

TEST(Seconds, are_a_bare_number) {
  EXPECT_EQ(parse_seconds("30"), 30s);
  EXPECT_EQ(parse_seconds("0.5"), 500ms);
  EXPECT_FALSE(parse_seconds("30s"));
  EXPECT_FALSE(parse_seconds(""));
  EXPECT_FALSE(parse_seconds("-1"));
}

TEST(Size, is_bytes_or_has_a_unit) {
  EXPECT_EQ(parse_size("65536"), 65536U);
  EXPECT_EQ(parse_size("8KiB"), 8192U);
  EXPECT_EQ(parse_size("8kB"), 8000U);
  EXPECT_EQ(parse_size("10MiB"), 10U << 20U);
  EXPECT_EQ(parse_size("1.5MB"), 1'500'000U);
  EXPECT_EQ(parse_size("2GiB"), 2ULL << 30U);
}

TEST(Size, refuses_what_is_none) {
  for (const char* text : {"", "8k", "8K", "8 KiB", "-1", "1.5", "1.5.5kB", "99999999999999999999", "99999999999GiB", "KiB"})
    EXPECT_FALSE(parse_size(text)) << text;
}

TEST(Size, is_spelled_in_the_largest_whole_unit) {
  EXPECT_EQ(spell_size(8192), "8KiB");
  EXPECT_EQ(spell_size(8000), "8kB");
  EXPECT_EQ(spell_size(1), "1");
  EXPECT_EQ(spell_size(0), "0");
}

TEST(Decimal, has_up_to_four_digits_after_the_point) {
  EXPECT_EQ(parse_decimal("1"), 1.0);
  EXPECT_EQ(parse_decimal("1.25"), 1.25);
  EXPECT_EQ(parse_decimal("0.0001"), 0.0001);
  for (const char* text : {"", ".5", "1.", "-1", "+1", "1e3", "1.00001", "1,5", "nan", "inf", "0x1", "99999999999999999999"})
    EXPECT_FALSE(parse_decimal(text)) << text;
}

TEST(Percent, is_a_number_and_the_sign) {
  EXPECT_EQ(parse_percent("20%"), 0.2);
  EXPECT_EQ(parse_percent("0%"), 0.0);
  EXPECT_EQ(parse_percent("12.5%"), 0.125);
  EXPECT_EQ(parse_percent("100%"), 1.0);
  for (const char* text : {"", "%", "20 %", "-1%", "1.00001%", "20%%", "twenty", "20pct"}) EXPECT_FALSE(parse_percent(text)) << text;
}

TEST(Percent, without_the_sign_is_told_how_to_write_it) {
  EXPECT_EQ(parse_percent("20").error(), R"(has no percent sign: write "20%")");
  EXPECT_EQ(parse_percent("0.2").error(), R"(has no percent sign: write "20%")");
}

TEST(Percent, is_spelled_as_it_was_read) {
  for (const char* text : {"0%", "0.0001%", "7%", "12.5%", "14%", "28%", "29%", "33.3333%", "57%", "99.9999%", "100%"})
    EXPECT_EQ(spell_percent(*parse_percent(text)), text);
}

TEST(Statuses, are_a_code_or_a_range) {
  EXPECT_EQ(parse_statuses("200", 200), (StatusRange{200, 200}));
  EXPECT_EQ(parse_statuses("300-399", 200), (StatusRange{300, 399}));
  EXPECT_EQ(spell_statuses({200, 200}), "200");
  EXPECT_EQ(spell_statuses({300, 399}), "300-399");
  for (const char* text : {"", "-", "200-", "-200", "200 - 204", "200-204-206", "199", "600", "200-600", "100-204", "OK", "20x"})
    EXPECT_FALSE(parse_statuses(text, 200)) << text;
}

TEST(Statuses, backwards_or_as_a_family_are_told_how_to_write_it) {
  EXPECT_EQ(parse_statuses("399-300", 200).error(), R"(ends before it begins: write "300-399")");
  EXPECT_EQ(parse_statuses("5XX", 400).error(), R"(is no number: write "500-599")");
  EXPECT_EQ(parse_statuses("2xx", 400).error(), "is not a status code");
}

TEST(HostPort, takes_addresses_and_names) {
  EXPECT_EQ(parse_host_port("10.0.0.5:80")->host, "10.0.0.5");
  EXPECT_EQ(parse_host_port("[0:0::1]:80")->host, "::1");
  EXPECT_EQ(parse_host_port("App.Internal:65535")->host, "app.internal");
  EXPECT_EQ(parse_host_port("app_1:65535")->port, 65535);
}

TEST(HostPort, refuses_the_rest_with_the_way_out) {
  const auto error = [](const char* text) { return parse_host_port(text).error(); };
  EXPECT_EQ(error("http://a/x"), R"(is a URL, allowed is host:port: write "a:80" or the port that is meant)");
  EXPECT_EQ(error("http://a:81/x"), R"(is a URL, allowed is host:port: write "a:81")");
  EXPECT_EQ(error("a"), R"(has no port: write "a:8080" or the port that is meant)");
  EXPECT_EQ(error("80"), R"(has no host: write "127.0.0.1:80" or the host that is meant)");
  EXPECT_EQ(error(":80"), R"(has no host: write "127.0.0.1:80" or the host that is meant)");
  EXPECT_EQ(error("a:0"), "has the port 0, allowed is a number from 1 to 65535");
  EXPECT_EQ(error("a:65536"), "has the port 65536, allowed is a number from 1 to 65535");
  EXPECT_EQ(error("a:080"), "has the port 080, allowed is a number from 1 to 65535");
  EXPECT_EQ(error("a:"), "has the port , allowed is a number from 1 to 65535");
  EXPECT_EQ(error("::1"), R"(is an IPv6 address without a port: write "[::1]:8080")");
  EXPECT_EQ(error("[::1:80"), R"(has brackets that do not close: write "[::1]:8080")");
  EXPECT_EQ(error("256.0.0.1:80"), "looks like an IP address, but is none");
  EXPECT_EQ(error("a b:80"), "is neither an IP address nor a name of letters, digits, '-' and '.'");
  EXPECT_EQ(error("a..b:80"), "is neither an IP address nor a name of letters, digits, '-' and '.'");
}

}  // namespace spelling_test
}  // namespace steelyard::config
