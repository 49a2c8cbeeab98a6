#include "backend/websocket.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace steelyard::backend::websocket {
namespace websocket_test {

constexpr std::uint64_t bytes_max = 100'000;

std::string from_client(Opcode opcode, std::string_view payload, Fragment fragment = Fragment::last) {
  constexpr std::uint8_t mask[] = {0x37, 0xfa, 0x21, 0x3d};
  std::array<char, head_bytes_max> head;
  const std::size_t size = write_head(head, {opcode, fragment, payload});
  head[1] = static_cast<char>(head[1] | '\x80');
  std::string bytes(head.data(), size);
  bytes.append(reinterpret_cast<const char*>(mask), 4);
  for (std::size_t i = 0; i < payload.size(); ++i) bytes += static_cast<char>(static_cast<std::uint8_t>(payload[i]) ^ mask[i % 4]);
  return bytes;
}

struct Outcome {
  std::vector<std::string> payloads;
  std::uint16_t refused = 0;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome decode(std::string_view bytes, std::size_t step_bytes) {
  Outcome outcome;
  FrameDecoder decoder(bytes_max);
  while (!bytes.empty()) {
    const auto step = decoder.decode(bytes.substr(0, step_bytes));
    if (!step) {
      outcome.refused = step.error().code;
      return outcome;
    }
    if (step->frame) outcome.payloads.emplace_back(step->frame->payload);
    bytes.remove_prefix(step->consumed);
  }
  return outcome;
}

// However the bytes are cut, the outcome is one.
Outcome decode(std::string_view bytes) {
  const Outcome outcome = decode(bytes, bytes.size());
  for (const std::size_t step : {std::size_t{1}, std::size_t{3}, std::size_t{1000}}) EXPECT_EQ(decode(bytes, step), outcome);
  return outcome;
}

std::uint16_t refusal_of(std::string_view bytes) { return decode(bytes).refused; }

TEST(FrameDecoder, reads_the_example_of_the_rfc) {
  const std::string bytes = "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
  EXPECT_EQ(decode(bytes).payloads, std::vector<std::string>{"Hello"});
}

TEST(FrameDecoder, reads_each_form_of_length) {
  for (const std::size_t size : {0U, 1U, 125U, 126U, 65535U, 65536U, 100'000U}) {
    const std::string payload(size, 'p');
    EXPECT_EQ(decode(from_client(Opcode::binary, payload)).payloads, std::vector<std::string>{payload}) << size;
  }
}

TEST(FrameDecoder, reads_control_frames_between_fragments) {
  const std::string bytes = from_client(Opcode::text, "a\xc3", Fragment::more) + from_client(Opcode::ping, "p") +
                            from_client(Opcode::continuation, "\xa4", Fragment::more) + from_client(Opcode::continuation, "z") +
                            from_client(Opcode::text, "next");
  const Outcome outcome = decode(bytes);
  EXPECT_EQ(outcome.refused, 0);
  EXPECT_EQ(outcome.payloads, (std::vector<std::string>{"a\xc3", "p", "\xa4", "z", "next"}));
}

TEST(FrameDecoder, refuses_a_frame_that_is_not_masked) { EXPECT_EQ(refusal_of("\x81\x05Hello"), 1002); }

TEST(FrameDecoder, refuses_reserved_bits_and_opcodes) {
  for (const char first : {'\xc1', '\xa1', '\x91', '\x83', '\x87', '\x8b', '\x8f'}) {
    std::string bytes = from_client(Opcode::text, "x");
    bytes[0] = first;
    EXPECT_EQ(refusal_of(bytes), 1002) << static_cast<int>(first);
  }
}

TEST(FrameDecoder, refuses_control_frames_in_pieces_or_too_long) {
  EXPECT_EQ(refusal_of(from_client(Opcode::ping, "p", Fragment::more)), 1002);
  EXPECT_EQ(refusal_of(from_client(Opcode::ping, std::string(126, 'p'))), 1002);
  EXPECT_EQ(refusal_of(from_client(Opcode::ping, std::string(125, 'p'))), 0);
}

TEST(FrameDecoder, refuses_messages_that_mix) {
  EXPECT_EQ(refusal_of(from_client(Opcode::continuation, "x")), 1002);
  EXPECT_EQ(refusal_of(from_client(Opcode::text, "x", Fragment::more) + from_client(Opcode::text, "y")), 1002);
}

TEST(FrameDecoder, refuses_a_length_that_is_not_the_shortest) {
  EXPECT_EQ(refusal_of(std::string_view("\x82\xfe\x00\x7d\0\0\0\0", 8)), 1002);
  EXPECT_EQ(refusal_of(std::string_view("\x82\xff\0\0\0\0\0\0\xff\xff\0\0\0\0", 14)), 1002);
  EXPECT_EQ(refusal_of(std::string_view("\x82\xff\x80\0\0\0\0\x01\0\0\0\0\0\0", 14)), 1002);
}

TEST(FrameDecoder, refuses_a_frame_beyond_the_limit_before_its_payload) {
  EXPECT_EQ(refusal_of(from_client(Opcode::binary, std::string(100'001, 'x')).substr(0, 14)), 1009);
}

TEST(FrameDecoder, refuses_text_that_is_not_utf8) {
  for (const char* text : {"\x80", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff", "cut \xf0\x9f"}) {
    EXPECT_EQ(refusal_of(from_client(Opcode::text, text)), 1007) << text;
    EXPECT_EQ(refusal_of(from_client(Opcode::binary, text)), 0);
  }
  EXPECT_EQ(refusal_of(from_client(Opcode::text, "\xed\x9f\xbf \xee\x80\x80 \xf0\x90\x80\x80 \xf4\x8f\xbf\xbf")), 0);
}

TEST(FrameDecoder, refuses_close_frames_that_say_what_none_may) {
  EXPECT_EQ(refusal_of(from_client(Opcode::close, "")), 0);
  EXPECT_EQ(refusal_of(from_client(Opcode::close, "\x03\xe8 bye")), 0);
  EXPECT_EQ(refusal_of(from_client(Opcode::close, "\x0f\xa0")), 0);  // 4000
  EXPECT_EQ(refusal_of(from_client(Opcode::close, "\x03")), 1002);
  for (const char* code : {"\x03\xe7", "\x03\xec", "\x03\xed", "\x03\xee", "\x03\xf7", "\x13\x88"}) {  // 999, 1004-1006, 1015, 5000
    EXPECT_EQ(refusal_of(from_client(Opcode::close, code)), 1002);
  }
  EXPECT_EQ(refusal_of(from_client(Opcode::close, "\x03\xe8\xff")), 1007);
}

TEST(WebsocketFrames, a_close_frame_keeps_its_reason_short) {
  std::string out;
  append_close(out, code_too_big, std::string(200, 'r'));
  EXPECT_EQ(out, "\x88\x7d\x03\xf1" + std::string(123, 'r'));
}

}  // namespace websocket_test
}  // namespace steelyard::backend::websocket
