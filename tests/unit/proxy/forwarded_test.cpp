// What servers are told about the client, and whom we believe about it.
#include "proxy/forwarded.hpp"

#include <gtest/gtest.h>

#include <string>

namespace steelyard {
namespace forwarded_test {

using http::FieldName;

const IpAddress v4 = *IpAddress::parse("192.0.2.7");
const IpAddress v6 = *IpAddress::parse("2001:db8::1");

http::Fields fields_of(std::initializer_list<http::Field> list) {
  http::Fields fields;
  for (const http::Field& field : list) EXPECT_TRUE(fields.push_back(field));
  return fields;
}

const http::Fields claims = fields_of({{"X-Forwarded-For", "10.1.1.1", FieldName::x_forwarded_for},
                                       {"X-Forwarded-For", "10.2.2.2", FieldName::x_forwarded_for},
                                       {"X-Forwarded-Proto", "https", FieldName::x_forwarded_proto},
                                       {"X-Forwarded-Host", "outside.example", FieldName::x_forwarded_host},
                                       {"Forwarded", "for=10.1.1.1;proto=https", FieldName::forwarded}});

std::string written(ForwardedStyle style, Trust trust, const IpAddress& peer = v4, std::string_view authority = "example.com:8080") {
  char memory[1024];
  HeadBuilder out(memory);
  write_forwarded(out, style, trust, claims, peer, authority);
  return std::string(out.view());
}

TEST(Forwarded, only_configured_networks_are_believed) {
  ForwardedOptions options;
  EXPECT_EQ(trust_in(options, v4), Trust::no);
  options.trusted_proxies = {*Network::parse("10.0.0.0/8"), *Network::parse("192.0.2.0/24")};
  EXPECT_EQ(trust_in(options, v4), Trust::yes);
  EXPECT_EQ(trust_in(options, v6), Trust::no);
}

TEST(Forwarded, claims_of_a_stranger_do_not_get_through) {
  EXPECT_EQ(written(ForwardedStyle::x_forwarded, Trust::no),
            "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: example.com:8080\r\n");
  EXPECT_EQ(written(ForwardedStyle::forwarded, Trust::no), "Forwarded: for=192.0.2.7;host=\"example.com:8080\";proto=http\r\n");
}

TEST(Forwarded, claims_of_a_trusted_proxy_are_extended) {
  EXPECT_EQ(written(ForwardedStyle::x_forwarded, Trust::yes),
            "X-Forwarded-For: 10.1.1.1, 10.2.2.2, 192.0.2.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: outside.example\r\n");
  EXPECT_EQ(written(ForwardedStyle::forwarded, Trust::yes),
            "Forwarded: for=10.1.1.1;proto=https, for=192.0.2.7;host=\"example.com:8080\";proto=http\r\n");
}

TEST(Forwarded, both_styles_write_both_and_off_writes_nothing) {
  EXPECT_EQ(written(ForwardedStyle::both, Trust::no),
            written(ForwardedStyle::x_forwarded, Trust::no) + written(ForwardedStyle::forwarded, Trust::no));
  EXPECT_EQ(written(ForwardedStyle::off, Trust::yes), "");
}

TEST(Forwarded, an_ipv6_address_is_quoted_in_brackets) {
  EXPECT_EQ(written(ForwardedStyle::forwarded, Trust::no, v6, ""), "Forwarded: for=\"[2001:db8::1]\";proto=http\r\n");
  EXPECT_TRUE(written(ForwardedStyle::x_forwarded, Trust::no, v6, "").starts_with("X-Forwarded-For: 2001:db8::1\r\n"));
}

TEST(Forwarded, received_fields_pass_only_where_a_trusted_proxy_sent_them_and_we_write_none) {
  const http::Field x_for{"X-Forwarded-For", "1", FieldName::x_forwarded_for};
  const http::Field rfc7239{"Forwarded", "for=1", FieldName::forwarded};
  const http::Field real_ip{"X-Real-IP", "1", FieldName::x_real_ip};
  const http::Field other{"Accept", "*", FieldName::accept};
  for (const ForwardedStyle style : {ForwardedStyle::x_forwarded, ForwardedStyle::forwarded, ForwardedStyle::both, ForwardedStyle::off}) {
    EXPECT_TRUE(drops(x_for, style, Trust::no));
    EXPECT_TRUE(drops(rfc7239, style, Trust::no));
    EXPECT_TRUE(drops(real_ip, style, Trust::no));
    EXPECT_FALSE(drops(real_ip, style, Trust::yes));
    EXPECT_FALSE(drops(other, style, Trust::no));
  }
  EXPECT_TRUE(drops(x_for, ForwardedStyle::x_forwarded, Trust::yes));
  EXPECT_FALSE(drops(rfc7239, ForwardedStyle::x_forwarded, Trust::yes));
  EXPECT_FALSE(drops(x_for, ForwardedStyle::forwarded, Trust::yes));
  EXPECT_TRUE(drops(rfc7239, ForwardedStyle::both, Trust::yes));
  EXPECT_FALSE(drops(x_for, ForwardedStyle::off, Trust::yes));
}

TEST(Forwarded, our_hops_are_counted_over_all_via_fields) {
  EXPECT_EQ(count_own_hops(fields_of({{"Via", "1.1 other, 1.0 steelyard, 1.1 steelyard", FieldName::via},
                                      {"Via", "1.1 steelyard", FieldName::via},
                                      {"X", "steelyard", FieldName::other}})),
            3);
}

}  // namespace forwarded_test
}  // namespace steelyard
