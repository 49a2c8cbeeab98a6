// What is read from DNS messages beside c-ares: TTLs, and services with odd targets.
#include "upstream/dns_answer.hpp"

#include <ares.h>
#include <gtest/gtest.h>

#include "support/dns_message.hpp"

namespace steelyard {
namespace dns_answer_test {

using testing_support::dns_name;
using testing_support::dns_number;
using testing_support::DnsAsked;
using testing_support::DnsReply;
using testing_support::DnsType;

DnsReply reply_to(std::string_view name, DnsType type) {
  return DnsReply({.id = "id",
                   .question = dns_name(name) + dns_number(static_cast<unsigned>(type), 2) + dns_number(1, 2),
                   .name = std::string(name),
                   .type = type});
}
std::span<const unsigned char> bytes(const std::string& message) {
  return {reinterpret_cast<const unsigned char*>(message.data()), message.size()};
}

TEST(DnsAnswer, the_shortest_ttl_counts_wherever_it_stands) {
  const std::string message = reply_to("x.test", DnsType::srv).srv("a.test", 1, 0, 0, 300).srv("b.test", 1, 0, 0, 7).message();
  EXPECT_EQ(shortest_ttl(bytes(message)), 7s);
  const std::string alias = reply_to("x.test", DnsType::a).cname("y.test", 5).a("10.0.0.1", 60, "y.test").message();
  EXPECT_EQ(shortest_ttl(bytes(alias)), 5s);
}

TEST(DnsAnswer, a_ttl_with_the_highest_bit_is_none) {
  EXPECT_EQ(shortest_ttl(bytes(reply_to("x.test", DnsType::a).a("10.0.0.1", 0x80000000U).message())), 0s);
}

TEST(DnsAnswer, no_prefix_of_a_message_has_a_ttl) {
  const std::string message = reply_to("x.test", DnsType::srv).srv("a.test", 1, 0, 0, 300).message();
  for (std::size_t size = 0; size < message.size(); ++size) EXPECT_FALSE(shortest_ttl(bytes(message.substr(0, size)))) << size;
}

TEST(DnsAnswer, follows_no_pointers_and_goes_past_them) {
  std::string message = reply_to("x.test", DnsType::a).message();
  message[7] = 1;  // one answer
  message += "\xc0\x0c" + dns_number(1, 2) + dns_number(1, 2) + dns_number(9, 4) + dns_number(4, 2) + "abcd";
  EXPECT_EQ(shortest_ttl(bytes(message)), 9s);
}

TEST(DnsAnswer, services_bring_their_numbers_and_names_without_the_final_dot) {
  const auto answer = read_services(ARES_SUCCESS, bytes(reply_to("_s._tcp.test", DnsType::srv).srv("a.test", 8080, 10, 20, 30).message()));
  EXPECT_EQ(answer.status, DnsStatus::found);
  EXPECT_EQ(answer.ttl, 30s);
  ASSERT_EQ(answer.records.size(), 1U);
  EXPECT_EQ(answer.records[0], (ServiceTarget{.host = "a.test", .port = 8080, .priority = 10, .weight = 20}));
}

TEST(DnsAnswer, a_service_that_is_decidedly_not_there_is_none) {
  const auto answer = read_services(ARES_SUCCESS, bytes(reply_to("_s._tcp.test", DnsType::srv).srv("", 80).srv("a.test", 0).message()));
  EXPECT_EQ(answer.status, DnsStatus::none);
  EXPECT_EQ(answer.reason, "the name's SRV records name no target");
}

TEST(DnsAnswer, what_c_ares_says_becomes_a_sentence) {
  EXPECT_EQ(read_services(ARES_ENODATA, {}).reason, "the name has no SRV record");
  EXPECT_EQ(read_services(ARES_ENODATA, {}).status, DnsStatus::none);
  EXPECT_EQ(read_addresses(ARES_ENODATA, nullptr, "IPv4 address").reason, "the name has no IPv4 address");
  EXPECT_EQ(read_addresses(ARES_ENOTFOUND, nullptr, "IPv4 address").status, DnsStatus::none);
  EXPECT_EQ(read_addresses(ARES_ETIMEOUT, nullptr, "IPv4 address").status, DnsStatus::failed);
  EXPECT_EQ(read_addresses(ARES_ENOMEM, nullptr, "IPv4 address").status, DnsStatus::failed);
}

}  // namespace dns_answer_test
}  // namespace steelyard
