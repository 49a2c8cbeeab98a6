// Bodies off a stream, by their framing: where they end, what is beyond, and which of them were cut short.
#include "session/body_reader.hpp"

#include <gtest/gtest.h>

#include <string>

#include "support/scripted_stream.hpp"

namespace steelyard {
namespace body_reader_test {

using http::BodyKind;
using testing_support::ScriptedStream;

std::string text(std::span<const char> bytes) { return {bytes.data(), bytes.size()}; }

struct BodyReaderTest : ::testing::Test {
  ScriptedStream stream;
  char memory[64];
};

TEST_F(BodyReaderTest, no_body_is_done_and_everything_is_beyond_it) {
  BodyReader body(stream, {BodyKind::none, 0}, Side::client);
  EXPECT_TRUE(body.done());
  std::string received = "GET /next";
  const auto piece = body.take(received);
  EXPECT_EQ(text(piece->leftover), "GET /next");
  EXPECT_TRUE(piece->payload.empty());
}

TEST_F(BodyReaderTest, a_length_ends_where_it_says_and_leaves_the_rest) {
  BodyReader body(stream, {BodyKind::length, 5}, Side::client);
  std::string received = "01234GET /next";
  const auto piece = body.take(received);
  EXPECT_EQ(text(piece->payload), "01234");
  EXPECT_EQ(text(piece->leftover), "GET /next");
  EXPECT_TRUE(body.done());
  EXPECT_EQ(body.payload_bytes(), 5U);
}

TEST_F(BodyReaderTest, nothing_beyond_a_known_length_is_read_from_a_client) {
  BodyReader body(stream, {BodyKind::length, 5}, Side::client);
  stream.feed("01234GET / HTTP/1.1");
  EXPECT_EQ(text(body.read(memory)->payload), "01234");
  EXPECT_TRUE(body.done());
  EXPECT_FALSE(body.overran());
  EXPECT_EQ(*stream.read(memory), 14U);
}

TEST_F(BodyReaderTest, what_a_server_says_beyond_its_body_is_noticed) {
  BodyReader body(stream, {BodyKind::length, 5}, Side::server);
  stream.feed("01234HTTP/1.1 200");
  EXPECT_EQ(text(body.read(memory)->payload), "01234");
  EXPECT_TRUE(body.done());
  EXPECT_TRUE(body.overran());
}

TEST_F(BodyReaderTest, a_length_may_come_in_pieces_and_through_the_kernel) {
  BodyReader body(stream, {BodyKind::length, 10}, Side::server);
  std::string first = "012";
  EXPECT_TRUE(body.take(first));
  EXPECT_EQ(body.length_left(), 7U);
  body.skip(4);
  EXPECT_FALSE(body.done());
  stream.feed("789");
  EXPECT_EQ(text(body.read(memory)->payload), "789");
  EXPECT_TRUE(body.done());
  EXPECT_EQ(body.payload_bytes(), 10U);
}

TEST_F(BodyReaderTest, lengths_beyond_32_bits_are_counted) {
  BodyReader body(stream, {BodyKind::length, 1ULL << 40U}, Side::server);
  body.skip((1ULL << 40U) - 2);
  EXPECT_FALSE(body.done());
  std::string last = "abc";
  EXPECT_EQ(text(body.take(last)->leftover), "c");
  EXPECT_TRUE(body.done());
}

TEST_F(BodyReaderTest, a_stream_that_has_nothing_now_would_block) {
  BodyReader body(stream, {BodyKind::length, 5}, Side::server);
  EXPECT_EQ(body.read(memory).error().kind, ErrorKind::would_block);
}

TEST_F(BodyReaderTest, an_end_before_the_length_is_a_failure_of_that_side) {
  BodyReader body(stream, {BodyKind::length, 5}, Side::server);
  stream.feed_and_end("012");
  EXPECT_TRUE(body.read(memory));
  const auto cut = body.read(memory);
  ASSERT_FALSE(cut);
  EXPECT_EQ(cut.error().kind, ErrorKind::closed);
  EXPECT_EQ(cut.error().side, Side::server);
  EXPECT_FALSE(body.done());
}

TEST_F(BodyReaderTest, an_end_inside_a_chunked_body_is_a_failure) {
  BodyReader body(stream, {BodyKind::chunked, 0}, Side::client);
  stream.feed_and_end("3\r\nabc\r\n");
  EXPECT_TRUE(body.read(memory));
  EXPECT_EQ(body.read(memory).error().kind, ErrorKind::closed);
}

TEST_F(BodyReaderTest, a_reset_is_a_failure_of_that_side_whatever_the_framing) {
  for (const BodyKind kind : {BodyKind::length, BodyKind::chunked, BodyKind::until_close}) {
    ScriptedStream broken;
    BodyReader body(broken, {kind, 5}, Side::client);
    broken.reset();
    EXPECT_EQ(body.read(memory).error().kind, ErrorKind::reset);
    EXPECT_EQ(body.read(memory).error().side, Side::client);
    EXPECT_FALSE(body.done());
  }
}

TEST_F(BodyReaderTest, chunks_are_taken_off_and_trailers_kept) {
  BodyReader body(stream, {BodyKind::chunked, 0}, Side::client);
  stream.feed("3\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 1\r\n\r\nGET /next");
  const auto piece = body.read(memory);
  EXPECT_EQ(text(piece->payload), "abcde");
  EXPECT_EQ(text(piece->leftover), "GET /next");
  EXPECT_TRUE(body.done());
  EXPECT_EQ(body.trailers(), "X-Sum: 1\r\n");
  EXPECT_EQ(body.payload_bytes(), 5U);
}

TEST_F(BodyReaderTest, a_malformed_chunk_says_why) {
  BodyReader body(stream, {BodyKind::chunked, 0}, Side::client);
  stream.feed("zz\r\n");
  const auto failed = body.read(memory);
  EXPECT_EQ(failed.error().kind, ErrorKind::malformed);
  EXPECT_EQ(failed.error().side, Side::client);
  EXPECT_EQ(body.parse_error().status, 400);
  EXPECT_STRNE(body.parse_error().reason, "");
}

TEST_F(BodyReaderTest, until_close_ends_with_the_stream) {
  BodyReader body(stream, {BodyKind::until_close, 0}, Side::server);
  stream.feed_and_end("abc");
  EXPECT_EQ(text(body.read(memory)->payload), "abc");
  EXPECT_FALSE(body.done());
  EXPECT_TRUE(body.read(memory)->payload.empty());
  EXPECT_TRUE(body.done());
}

}  // namespace body_reader_test
}  // namespace steelyard
