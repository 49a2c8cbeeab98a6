#include "net/address.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "base/prng.hpp"

namespace steelyard {
namespace address_test {

using namespace std::string_literals;

TEST(IpAddress, reads_and_writes_strict_spellings) {
  for (const char* text :
       {"0.0.0.0", "127.0.0.1", "255.255.255.255", "10.200.30.4", "::", "::1", "1::", "2001:db8::1", "fe80::1:0:0:1", "1:2:3:4:5:6:7:8",
        "1:0:3:4:5:6:7:8", "0:2:3:4:5:6:7:0", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "64:ff9b::a00:1"}) {
    const auto ip = IpAddress::parse(text);
    ASSERT_TRUE(ip) << text;
    EXPECT_EQ(ip->to_string(), text);
  }
}

TEST(IpAddress, writes_ipv6_as_rfc_5952_asks) {
  EXPECT_EQ(IpAddress::parse("2001:0DB8:0:0:0:0:0:0001")->to_string(), "2001:db8::1");
  EXPECT_EQ(IpAddress::parse("2001:db8:0:0:1:0:0:1")->to_string(), "2001:db8::1:0:0:1");  // the first of equal runs
  EXPECT_EQ(IpAddress::parse("1:0:0:2:0:0:0:3")->to_string(), "1:0:0:2::3");              // the longest run
  EXPECT_EQ(IpAddress::parse("1::3:4:5:6:7:8")->to_string(), "1:0:3:4:5:6:7:8");          // never a single group
  EXPECT_EQ(IpAddress::parse("0:0:0:0:0:0:0:0")->to_string(), "::");
}

TEST(IpAddress, refuses_odd_spellings) {
  const std::string refused[] = {"",
                                 " ",
                                 "localhost",
                                 "1",
                                 "127.1",
                                 "127.0.1",
                                 "2130706433",
                                 "0x7f.1",
                                 "0x7f000001",
                                 "0x7f.0.0.1",
                                 "010.0.0.1",
                                 "127.0.0.01",
                                 "00.0.0.0",
                                 "256.0.0.1",
                                 "1.2.3.4.5",
                                 "1.2.3.",
                                 ".1.2.3",
                                 "1..2.3",
                                 "1.2.3.4 ",
                                 " 1.2.3.4",
                                 "+1.2.3.4",
                                 "-1.2.3.4",
                                 "1.2.3.4\n",
                                 "127.0.0.1:80",
                                 "127.0.0.1/8",
                                 "127.0.0.1\0"s,
                                 "127.0.0.1\0.evil"s,
                                 "\xd9\xa1.0.0.1",
                                 ":",
                                 ":::",
                                 "1:2:3:4:5:6:7",
                                 "1:2:3:4:5:6:7:8:9",
                                 "1::2::3",
                                 "12345::",
                                 "::g",
                                 "[::1]",
                                 "[::1]:80",
                                 "fe80::1%eth0",
                                 "::1%1",
                                 "::1%",
                                 "::ffff:127.1",
                                 "::ffff:127.0.0.01",
                                 "::ffff:0x7f.0.0.1",
                                 "1.2.3.4::",
                                 "::1.2.3.4:5",
                                 "::1/128",
                                 "::1 ",
                                 "1:2:3:4:5:6:7::8:9",
                                 "1:2:3:4:5:6:7:",
                                 ":1:2:3:4:5:6:7",
                                 "::1\0"s,
                                 std::string(45, '1'),
                                 std::string(46, ':'),
                                 std::string(5000, '1')};
  for (const std::string& text : refused) EXPECT_FALSE(IpAddress::parse(text)) << text;
}

TEST(IpAddress, mapped_ipv6_is_ipv4) {
  const auto v4 = IpAddress::parse("127.0.0.1");
  for (const char* text : {"::ffff:127.0.0.1", "::FFFF:7f00:1", "0:0:0:0:0:ffff:7f00:0001", "0000:0000:0000:0000:0000:ffff:127.0.0.1"}) {
    EXPECT_EQ(IpAddress::parse(text), v4) << text;
  }
  EXPECT_FALSE(v4->is_v6());
  EXPECT_TRUE(IpAddress::parse("::127.0.0.1")->is_v6());
  EXPECT_TRUE(IpAddress::parse("::ffff:0:127.0.0.1")->is_v6());
  EXPECT_TRUE(IpAddress::parse("1::ffff:127.0.0.1")->is_v6());
}

TEST(IpAddress, knows_loopback) {
  for (const char* text : {"127.0.0.1", "127.255.255.255", "::1", "::ffff:127.3.2.1"})
    EXPECT_TRUE(IpAddress::parse(text)->is_loopback()) << text;
  for (const char* text : {"126.0.0.1", "128.0.0.1", "0.0.0.1", "::", "::2", "1::1", "7f00::1"})
    EXPECT_FALSE(IpAddress::parse(text)->is_loopback()) << text;
}

TEST(IpAddress, ipv4_and_ipv6_of_the_same_bytes_differ) {
  const auto v4 = IpAddress::v4(0x20010db8);
  const auto v6 = IpAddress::parse("2001:db8::");
  EXPECT_EQ(v4.bytes(), v6->bytes());
  EXPECT_NE(v4, *v6);
  EXPECT_NE(v4.hash(), v6->hash());
}

TEST(IpAddress, random_ones_survive_writing_and_reading) {
  Prng prng(11);
  for (int i = 0; i < 20'000; ++i) {
    std::array<std::uint8_t, 16> bytes{};
    for (auto& byte : bytes) byte = prng.chance(0.6) ? 0 : static_cast<std::uint8_t>(prng.next());
    const IpAddress ip = i % 4 == 0 ? IpAddress::v4(static_cast<std::uint32_t>(prng.next())) : IpAddress::v6(bytes);
    std::array<char, IpAddress::text_max> text{};
    const std::size_t length = ip.write(text.data());
    ASSERT_LT(length, IpAddress::text_max);
    ASSERT_EQ(IpAddress::parse({text.data(), length}), ip) << ip.to_string();
  }
}

TEST(IpAddress, hash_spreads_neighbours_and_depends_on_the_seed) {
  std::set<std::uint64_t> low_bits;
  for (std::uint32_t i = 0; i < 1000; ++i) low_bits.insert(IpAddress::v4(0x0a000000 + i).hash() & 0xfffffU);
  EXPECT_GT(low_bits.size(), 990U);
  EXPECT_NE(IpAddress::v4(1).hash(1), IpAddress::v4(1).hash(2));
  EXPECT_EQ(IpAddress::v4(1).hash(), IpAddress::parse("::ffff:0.0.0.1")->hash());
}

TEST(SocketAddress, reads_and_writes) {
  for (const char* text : {"127.0.0.1:8080", "[::1]:8080", "0.0.0.0:0", "[2001:db8::1]:65535"}) {
    const auto address = SocketAddress::parse(text);
    ASSERT_TRUE(address) << text;
    EXPECT_EQ(address->to_string(), text);
  }
  EXPECT_EQ(SocketAddress::parse("[::ffff:10.0.0.1]:80")->to_string(), "10.0.0.1:80");
}

TEST(SocketAddress, refuses_odd_spellings) {
  const std::string refused[] = {"",
                                 ":",
                                 ":80",
                                 "127.0.0.1",
                                 "127.0.0.1:",
                                 "127.0.0.1:65536",
                                 "127.0.0.1:080",
                                 "127.0.0.1:+80",
                                 "127.0.0.1:-1",
                                 "127.0.0.1:0x50",
                                 "127.0.0.1: 80",
                                 "127.0.0.1:80 ",
                                 "127.1:80",
                                 "localhost:80",
                                 "::1:80",
                                 "::1",
                                 "[::1]",
                                 "[::1]:",
                                 "[::1]80",
                                 "[]:80",
                                 "[:80",
                                 "[127.0.0.1]:80",
                                 "[[::1]]:80",
                                 "[fe80::1%eth0]:80",
                                 "[::1]:80:80",
                                 "127.0.0.1:80\0"s};
  for (const std::string& text : refused) EXPECT_FALSE(SocketAddress::parse(text)) << text;
}

TEST(Network, contains_what_the_prefix_says) {
  const auto contains = [](const char* network, const char* ip) { return Network::parse(network)->contains(*IpAddress::parse(ip)); };
  EXPECT_TRUE(contains("10.0.0.0/8", "10.255.0.1"));
  EXPECT_FALSE(contains("10.0.0.0/8", "11.0.0.0"));
  EXPECT_TRUE(contains("192.168.4.0/22", "192.168.7.255"));
  EXPECT_FALSE(contains("192.168.4.0/22", "192.168.8.0"));
  EXPECT_TRUE(contains("0.0.0.0/0", "1.2.3.4"));
  EXPECT_FALSE(contains("0.0.0.0/0", "::1"));
  EXPECT_FALSE(contains("::/0", "1.2.3.4"));
  EXPECT_TRUE(contains("fd00::/8", "fdff::1"));
  EXPECT_FALSE(contains("fd00::/8", "fe00::1"));
  EXPECT_TRUE(contains("2001:db8::/127", "2001:db8::1"));
  EXPECT_FALSE(contains("2001:db8::/127", "2001:db8::2"));
  EXPECT_TRUE(contains("127.0.0.1", "::ffff:127.0.0.1"));
  EXPECT_FALSE(contains("127.0.0.1", "127.0.0.2"));
  EXPECT_FALSE(contains("::1", "::2"));
  EXPECT_TRUE(contains("::ffff:10.0.0.0/104", "10.1.2.3"));
}

TEST(Network, contains_a_network_that_lies_inside_it) {
  const auto contains = [](const char* outer, const char* inner) { return Network::parse(outer)->contains(*Network::parse(inner)); };
  EXPECT_TRUE(contains("127.0.0.0/8", "127.0.0.0/8"));
  EXPECT_TRUE(contains("127.0.0.0/8", "127.1.0.0/16"));
  EXPECT_TRUE(contains("fe80::/10", "fe80::1"));
  EXPECT_FALSE(contains("127.0.0.0/8", "0.0.0.0/0"));
  EXPECT_FALSE(contains("127.0.0.0/8", "126.0.0.0/8"));
  EXPECT_FALSE(contains("127.0.0.0/8", "126.0.0.0/7"));
  EXPECT_FALSE(contains("0.0.0.0/0", "::/0"));
}

TEST(Network, writes_its_prefix) {
  EXPECT_EQ(Network::parse("10.0.0.0/8")->to_string(), "10.0.0.0/8");
  EXPECT_EQ(Network::parse("::1")->to_string(), "::1/128");
  EXPECT_EQ(Network::parse("::ffff:10.0.0.0/104")->to_string(), "10.0.0.0/8");
}

TEST(Network, refuses_odd_spellings) {
  for (const char* text : {"", "/", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/08", "10.0.0.0/+8", "10.0.0.0/-1", "10.0.0.0/8/8", "10/8",
                           "10.0.0.1/8", "192.168.5.0/22", "::/129", "::1/64", "fd00::1/8", "10.0.0.0/255.0.0.0", "::ffff:10.0.0.0/95",
                           "::ffff:10.0.0.0/129", "10.0.0.0/4294967304"}) {
    EXPECT_FALSE(Network::parse(text)) << text;
  }
}

}  // namespace address_test
}  // namespace steelyard
