#include "wire/packet/message.hpp"

#include <gtest/gtest.h>

#include <string>

#include "wire/json/scanner.hpp"

namespace steelyard::packet {
namespace message_test {

std::expected<Message, const char*> parse(std::string_view text) {
  json::ObjectScanner scanner;
  EXPECT_EQ(scanner.feed(text), text.size()) << text;
  return parse_message(scanner.object(text));
}

template <typename Kind>
Kind parsed(std::string_view text) {
  const auto message = parse(text);
  EXPECT_TRUE(message.has_value()) << text << ": " << message.error();
  const Kind* const kind = message ? std::get_if<Kind>(&*message) : nullptr;
  EXPECT_NE(kind, nullptr) << text;
  return kind != nullptr ? *kind : Kind{};
}

std::string refusal(std::string_view text) {
  const auto message = parse(text);
  return message ? "" : message.error();
}

// A setup message with these members beside what it needs.
std::string setup_with(std::string_view members) {
  return R"({"type": "1", "id": "100", "privPolyId": "111", "listenport": "2105", )" + std::string(members) + "}";
}

TEST(PacketMessage, reads_setup_as_the_original_sends_it) {
  const packet::Setup expected{.id = "100", .policy = "111", .listen_port = 2105};
  EXPECT_EQ(parsed<packet::Setup>(R"({"type": "1", "id": "100", "privPolyId": "111", "listenport": "2105"})"), expected);
  EXPECT_EQ(parsed<packet::Setup>(R"({"listenport": 2105, "privPolyId": 111, "id": 100, "type": 1})"), expected);
}

TEST(PacketMessage, reads_data_as_the_original_sends_it) {
  const Data expected{.source = "1", .policy = "111"};
  EXPECT_EQ(parsed<Data>(R"({"type": "0", "srcid": "1", "privPoliId": "111", "payload": "xyz1"})"), expected);
  EXPECT_EQ(parsed<Data>(R"({"type": 0, "srcid": 1, "privPoliId": 111, "payload": [1], "other": {"type": "1"}})"), expected);
  EXPECT_EQ(parsed<Data>(R"({"type": "0", "privPoliId": "111"})").source, "");
}

TEST(PacketMessage, reads_ack_as_the_original_sends_it) {
  const Ack expected{.source = "100", .destination = "1", .payload = "b0400cf1f3919fdba057dbd2acc52f148fbb43ac", .payload_bytes = 40};
  EXPECT_EQ(
      parsed<Ack>(
          R"({"type": "2", "srcid": "100", "destid": "1", "payloadsize": 40, "payload": "b0400cf1f3919fdba057dbd2acc52f148fbb43ac"})"),
      expected);
  EXPECT_EQ(parsed<Ack>(R"({"type": "2", "payload": ""})"), Ack{});
}

TEST(PacketMessage, takes_escapes_off_names_and_values) {
  const packet::Setup setup =
      parsed<packet::Setup>(R"({"\u0074ype": "\u0031", "id": "a\/b\"", "privPolyId": "\u00e9", "listenport": "\u0039"})");
  EXPECT_EQ(setup, (packet::Setup{.id = "a/b\"", .policy = "é", .listen_port = 9}));
}

TEST(PacketMessage, refuses_types_that_do_not_exist) {
  EXPECT_EQ(refusal("{}"), "The message has no type.");
  for (const std::string_view type :
       {R"("3")", R"("")", R"("00")", R"(" 1")", "3", "0.0", "1e0", "10", "-1", "true", "null", "[0]", "{}"}) {
    EXPECT_EQ(refusal(R"({"privPoliId": "111", "srcid": "1", "type": )" + std::string(type) + "}"),
              "The type of the message is not \"0\" (data), \"1\" (setup) or \"2\" (ack).")
        << type;
  }
}

TEST(PacketMessage, refuses_both_spellings_of_the_policy_at_once) {
  for (const std::string_view type : {"0", "1", "2"}) {
    EXPECT_EQ(refusal(R"({"id": "1", "listenport": 1, "privPoliId": "111", "privPolyId": "111", "type": )" + std::string(type) + "}"),
              "The message has both privPolyId and privPoliId, so that its policy is not certain.");
  }
}

TEST(PacketMessage, refuses_the_spelling_of_the_other_message) {
  EXPECT_EQ(refusal(R"({"type": "0", "privPolyId": "111"})"), "A data message has no privPoliId (setup has privPolyId).");
  EXPECT_EQ(refusal(R"({"type": "1", "id": "1", "privPoliId": "111", "listenport": 1})"),
            "A setup message has no privPolyId (data has privPoliId).");
}

TEST(PacketMessage, refuses_messages_that_lack_something) {
  EXPECT_EQ(refusal(R"({"type": "1", "privPolyId": "111", "listenport": 1})"), "A setup message has no id.");
  EXPECT_EQ(refusal(R"({"type": "1", "id": "1", "privPolyId": "111"})"), "A setup message has no listenport.");
  EXPECT_EQ(refusal(R"({"type": "2"})"), "The payload of an ack message is not a string.");
}

TEST(PacketMessage, refuses_ids_and_policies_of_other_kinds) {
  for (const std::string_view value : {"1.0", "1e3", "true", "null", "[]", "{}", R"(["111"])", R"("")", R"("a\n")", R"("\u0000")",
                                       R"("\u007f")", R"("\u0085")", "\"\xc2\x9f\""}) {
    const std::string text(value);
    EXPECT_NE(refusal(R"({"type": "0", "privPoliId": )" + text + "}"), "") << value;
    EXPECT_NE(refusal(R"({"type": "1", "id": "1", "listenport": 1, "privPolyId": )" + text + "}"), "") << value;
    EXPECT_NE(refusal(R"({"type": "1", "privPolyId": "1", "listenport": 1, "id": )" + text + "}"), "") << value;
  }
  EXPECT_NE(refusal(R"({"type": "0", "privPoliId": "1", "srcid": []})"), "");
}

TEST(PacketMessage, takes_the_digits_of_integers) {
  EXPECT_EQ(parsed<Data>(R"({"type": 0, "privPoliId": 12345678901234567890123, "srcid": -1})"),
            (Data{.source = "-1", .policy = "12345678901234567890123"}));
  EXPECT_EQ(parsed<Data>(R"({"type": -0, "privPoliId": -0})").policy, "0");
}

TEST(PacketMessage, bounds_ids_and_policies) {
  const auto data = [](std::size_t policy, std::size_t id) {
    return R"({"type": "0", "privPoliId": ")" + std::string(policy, 'p') + R"(", "srcid": ")" + std::string(id, 'i') + "\"}";
  };
  EXPECT_EQ(refusal(data(policy_bytes_max, id_bytes_max)), "");
  EXPECT_NE(refusal(data(policy_bytes_max + 1, id_bytes_max)), "");
  EXPECT_NE(refusal(data(policy_bytes_max, id_bytes_max + 1)), "");
  // What counts is the text, not how it was sent.
  std::string escaped;
  for (std::size_t i = 0; i < policy_bytes_max; ++i) escaped += "\\u0061";
  EXPECT_EQ(refusal(R"({"type": "0", "privPoliId": ")" + escaped + "\"}"), "");
}

TEST(PacketMessage, knows_ports) {
  const auto port = [](std::string_view value) {
    return R"({"type": "1", "id": "1", "privPolyId": "1", "listenport": )" + std::string(value) + "}";
  };
  EXPECT_EQ(parsed<packet::Setup>(port("65535")).listen_port, 65535);
  EXPECT_EQ(parsed<packet::Setup>(port(R"("1")")).listen_port, 1);
  for (const std::string_view value :
       {"0", "65536", "-1", "1.0", "1e3", R"("")", R"(" 1")", R"("1 ")", R"("+1")", R"("0x1")", "true", "null", "[1]"}) {
    EXPECT_EQ(refusal(port(value)), "listenport is not a port from 1 to 65535.") << value;
  }
}

TEST(PacketMessage, reads_leases) {
  const auto lease = [](std::string_view value) { return parsed<packet::Setup>(setup_with(R"("lease": )" + std::string(value))).lease; };
  EXPECT_EQ(lease("10"), 10s);
  EXPECT_EQ(lease("2.5"), 2500ms);
  EXPECT_EQ(lease("1e1"), 10s);
  EXPECT_EQ(lease(R"("10")"), 10s);
  EXPECT_EQ(lease(R"("10s")"), 10s);
  EXPECT_EQ(lease(R"("1500ms")"), 1500ms);
  EXPECT_EQ(lease(R"("2m")"), 120s);
  EXPECT_EQ(lease(R"("1h")"), 3600s);
  for (const std::string_view value : {"0", "-1", "1e300", R"("")", R"("s")", R"("10 s")", R"("10x")", R"("inf")", R"("nan")", R"("1e999")",
                                       "true", "null", "[]", R"("10ss")", R"("+1s")"}) {
    EXPECT_EQ(refusal(setup_with(R"("lease": )" + std::string(value))), "lease is not a time: write seconds, or a text such as \"10s\".")
        << value;
  }
}

TEST(PacketMessage, reads_secret_and_weight) {
  const packet::Setup setup = parsed<packet::Setup>(setup_with(R"("secret": "s\n\u00e9", "weight": 3)"));
  EXPECT_EQ(setup.secret, "s\né");
  EXPECT_EQ(setup.weight, 3U);
  EXPECT_EQ(refusal(setup_with(R"("secret": 1)")), "secret is not a string of up to 1024 bytes.");
  EXPECT_EQ(refusal(setup_with(R"("secret": ")" + std::string(1025, 's') + "\"")), "secret is not a string of up to 1024 bytes.");
  EXPECT_EQ(refusal(setup_with(R"("weight": -1)")), "weight is not a whole number.");
  EXPECT_EQ(refusal(setup_with(R"("weight": 4294967296)")), "weight is not a whole number.");
}

TEST(PacketMessage, writes_what_the_originals_write) {
  EXPECT_EQ(to_text(packet::Setup{.id = "100", .policy = "111", .listen_port = 2105}),
            R"({"type": "1", "id": "100", "privPolyId": "111", "listenport": "2105"})");
  EXPECT_EQ(to_text(Data{.source = "1", .policy = "111"}, "xyz1"),
            R"({"type": "0", "srcid": "1", "privPoliId": "111", "payload": "xyz1"})");
  EXPECT_EQ(to_text(Ack{.source = "100", .destination = "1", .payload = "b0400cf1f3919fdba057dbd2acc52f148fbb43ac"}),
            R"({"type": "2", "srcid": "100", "destid": "1", "payloadsize": 40, "payload": "b0400cf1f3919fdba057dbd2acc52f148fbb43ac"})");
}

TEST(PacketMessage, reads_what_it_writes) {
  const packet::Setup setup{.id = "a\"\\", .policy = "é😀", .listen_port = 1, .secret = "\x01\x7f", .lease = 1500ms, .weight = 7};
  EXPECT_EQ(parsed<packet::Setup>(to_text(setup)), setup);
  EXPECT_EQ(to_text(setup), R"({"type": "1", "id": "a\"\\", "privPolyId": "\u00e9\ud83d\ude00", "listenport": "1", )"
                            R"("secret": "\u0001\u007f", "lease": "1500ms", "weight": 7})");
  const Ack ack{.source = "s", .destination = "", .payload = "\n", .payload_bytes = 1};
  EXPECT_EQ(parsed<Ack>(to_text(ack)), ack);
  const Data data{.source = "\\u0041", .policy = "/"};
  EXPECT_EQ(parsed<Data>(to_text(data, "")), data);
}

}  // namespace message_test
}  // namespace steelyard::packet
