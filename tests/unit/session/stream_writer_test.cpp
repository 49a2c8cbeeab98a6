// Writing to a stream that takes what it wants, and the chunked coding in place.
#include "session/stream_writer.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "support/scripted_stream.hpp"
#include "wire/http1/chunked_decoder.hpp"

namespace steelyard {
namespace stream_writer_test {

using namespace std::string_view_literals;
using testing_support::ScriptedStream;

TEST(StreamWriter, what_fits_is_sent_at_once) {
  ScriptedStream stream;
  StreamWriter writer(stream, Side::client);
  EXPECT_TRUE(writer.send("hello"sv));
  EXPECT_TRUE(writer.empty());
  EXPECT_EQ(stream.record()->sent, "hello");
  EXPECT_EQ(writer.sent_bytes(), 5U);
}

TEST(StreamWriter, the_tail_is_kept_in_order_and_flushed_as_room_comes) {
  ScriptedStream stream;
  stream.room = 2;
  StreamWriter writer(stream, Side::client);
  EXPECT_TRUE(writer.send("hello "sv));
  EXPECT_FALSE(writer.empty());
  EXPECT_TRUE(writer.send("world"sv));
  EXPECT_EQ(writer.sent_bytes(), 2U);
  EXPECT_EQ(writer.flush().error().kind, ErrorKind::would_block);
  stream.make_room(3);
  EXPECT_EQ(writer.flush().error().kind, ErrorKind::would_block);
  EXPECT_EQ(stream.record()->sent, "hello");
  stream.make_room(100);
  EXPECT_TRUE(writer.flush());
  EXPECT_TRUE(writer.empty());
  EXPECT_EQ(stream.record()->sent, "hello world");
  EXPECT_EQ(writer.sent_bytes(), 11U);
}

TEST(StreamWriter, sending_behind_a_tail_does_not_overtake_it_when_room_has_come) {
  ScriptedStream stream;
  stream.room = 1;
  StreamWriter writer(stream, Side::client);
  EXPECT_TRUE(writer.send("ab"sv));
  stream.make_room(100);
  EXPECT_TRUE(writer.send("c"sv));
  EXPECT_TRUE(writer.flush());
  EXPECT_EQ(stream.record()->sent, "abc");
}

TEST(StreamWriter, a_stream_that_takes_nothing_keeps_all_of_it) {
  ScriptedStream stream;
  stream.room = 0;
  StreamWriter writer(stream, Side::client);
  EXPECT_TRUE(writer.send("abc"sv));
  EXPECT_EQ(writer.sent_bytes(), 0U);
  EXPECT_FALSE(writer.empty());
}

TEST(StreamWriter, nothing_is_no_call) {
  ScriptedStream stream;
  stream.reset();
  StreamWriter writer(stream, Side::client);
  EXPECT_TRUE(writer.send(""sv));
  EXPECT_TRUE(writer.flush());
}

TEST(StreamWriter, failures_name_the_side) {
  ScriptedStream stream;
  stream.room = 1;
  StreamWriter writer(stream, Side::server);
  EXPECT_TRUE(writer.send("ab"sv));
  stream.reset();
  EXPECT_EQ(writer.flush().error().kind, ErrorKind::reset);
  EXPECT_EQ(writer.flush().error().side, Side::server);
  StreamWriter fresh(stream, Side::client);
  EXPECT_EQ(fresh.send("x"sv).error().side, Side::client);
}

// Memory with exactly the room that encode_chunk() may use, on both sides; beyond it AddressSanitizer watches.
std::string encoded(std::string_view payload, Last last, std::string_view trailers = {}) {
  std::vector<char> memory(20 + payload.size() + 8 + trailers.size(), '#');
  std::copy(payload.begin(), payload.end(), memory.begin() + 20);
  const auto out = encode_chunk({memory.data() + 20, payload.size()}, last, trailers);
  return {out.data(), out.size()};
}

TEST(EncodeChunk, puts_the_size_before_and_the_end_behind) {
  EXPECT_EQ(encoded("hello", Last::no), "5\r\nhello\r\n");
  EXPECT_EQ(encoded(std::string(300, 'x'), Last::no), "12c\r\n" + std::string(300, 'x') + "\r\n");
}

TEST(EncodeChunk, the_last_one_carries_the_end_of_the_body) {
  EXPECT_EQ(encoded("hello", Last::yes), "5\r\nhello\r\n0\r\n\r\n");
  EXPECT_EQ(encoded("", Last::yes), "0\r\n\r\n");
  EXPECT_EQ(encoded("a", Last::yes, "X-Sum: 1\r\n"), "1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n");
}

TEST(EncodeChunk, an_empty_payload_that_is_not_the_last_is_nothing) {
  // A chunk of size 0 would end the body.
  EXPECT_EQ(encoded("", Last::no), "");
}

TEST(EncodeChunk, what_it_writes_the_decoder_reads) {
  for (const std::size_t size : {0, 1, 15, 16, 255, 256, 4095, 65'536}) {
    std::string coded = encoded(std::string(size, 'p'), Last::yes, "T: v\r\n");
    http1::ChunkedDecoder decoder;
    const auto step = decoder.decode(coded);
    ASSERT_TRUE(step);
    EXPECT_TRUE(step->done);
    EXPECT_EQ(step->consumed, coded.size());
    EXPECT_EQ(coded.substr(0, step->payload), std::string(size, 'p'));
    EXPECT_EQ(decoder.trailers(), "T: v\r\n");
  }
}

}  // namespace stream_writer_test
}  // namespace steelyard
