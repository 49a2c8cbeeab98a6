#include "backend/packet_client.hpp"

#include <gtest/gtest.h>

#include <string>

namespace steelyard::backend {
namespace packet_client_test {

constexpr std::string_view first = R"({"type": "0", "srcid": "1", "privPoliId": "111", "payload": "xyz1"})";

std::string problem_of(std::string_view text) {
  const auto packets = read_packets(text);
  return packets ? "" : packets.error();
}

TEST(ReadPackets, reads_one_or_more) {
  const auto packets =
      read_packets("\n" + std::string(first) + R"({"type":0,"srcid":2,"privPoliId":222,"payload":"\u00e9\"","x":[1]})" + "\n");
  ASSERT_TRUE(packets.has_value());
  ASSERT_EQ(packets->size(), 2U);
  EXPECT_EQ((*packets)[0].text, first);
  EXPECT_EQ((*packets)[0].policy, "111");
  EXPECT_EQ((*packets)[1].text, R"({"type": 0, "srcid": 2, "privPoliId": 222, "payload": "\u00e9\"", "x": [1]})");
  EXPECT_EQ((*packets)[1].source, "2");
  EXPECT_EQ((*packets)[1].payload, "é\"");
}

TEST(ReadPackets, replaces_the_source) {
  const auto sent = [](std::string_view text) { return read_packets(text, "a\"")->front().text; };
  EXPECT_EQ(sent(first), R"({"type": "0", "srcid": "a\"", "privPoliId": "111", "payload": "xyz1"})");
  EXPECT_EQ(sent(R"({"srcid": 12 , "type": 0, "privPoliId": 1, "payload": ""})"),
            R"({"srcid": "a\"", "type": 0, "privPoliId": 1, "payload": ""})");
  EXPECT_EQ(sent(R"( { "type": 0, "privPoliId": 1, "payload": ""})"), R"({"srcid": "a\"", "type": 0, "privPoliId": 1, "payload": ""})");
  EXPECT_EQ(read_packets(first, "b")->front().source, "b");
}

TEST(ReadPackets, says_where_something_is_wrong) {
  EXPECT_EQ(problem_of(""), "there is no packet in it");
  EXPECT_EQ(problem_of("\n \n"), "there is no packet in it");
  EXPECT_EQ(problem_of("\n\nx"), "packet 1 (line 3): It does not begin with an object.");
  EXPECT_EQ(problem_of(std::string(first) + "\n{\n\"type\""), "packet 2 (line 3): The object is not complete: a } is missing.");
  EXPECT_EQ(problem_of(std::string(first) + "\n\n{\n\n}"), "packet 2 (line 5): The message has no type.");
  EXPECT_EQ(problem_of(R"({"type": "2", "payload": ""})"), "packet 1 (line 1): Its type is not \"0\": a client sends data.");
  EXPECT_EQ(problem_of(R"({"type": "0", "privPoliId": 1, "payload": 1})"), "packet 1 (line 1): It has no payload that is a string.");
}

}  // namespace packet_client_test
}  // namespace steelyard::backend
