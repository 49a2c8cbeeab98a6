// The chunked coding, in one piece and split at every byte.
#include "wire/http1/chunked_decoder.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace steelyard::http1 {
namespace chunked_decoder_test {

struct Decoded {
  std::string payload;
  std::string trailers;
  std::size_t consumed = 0;
  bool done = false;
  int status = 0;  // 0: not refused

  friend bool operator==(const Decoded&, const Decoded&) = default;
};

Decoded decode_in_pieces(std::string_view body, const std::vector<std::size_t>& ends) {
  Decoded result;
  ChunkedDecoder decoder;
  std::size_t begin = 0;
  for (const std::size_t end : ends) {
    std::vector<char> buffer(body.begin() + static_cast<std::ptrdiff_t>(begin), body.begin() + static_cast<std::ptrdiff_t>(end));
    const auto step = decoder.decode(buffer);
    if (!step) {
      result = {};
      result.status = step.error().status;
      return result;
    }
    EXPECT_LE(step->payload, step->consumed);
    EXPECT_TRUE(step->done || step->consumed == buffer.size());
    result.payload.append(buffer.data(), step->payload);
    result.consumed += step->consumed;
    if (step->done) {
      result.done = true;
      result.trailers = decoder.trailers();
      return result;
    }
    begin = end;
  }
  return result;
}

Decoded decode(std::string_view body) {
  Decoded whole = decode_in_pieces(body, {body.size()});
  std::vector<std::size_t> every;
  for (std::size_t split = 1; split <= body.size(); ++split) {
    const Decoded other = decode_in_pieces(body, {split, body.size()});
    EXPECT_EQ(other, whole) << "split at " << split;
    every.push_back(split);
  }
  EXPECT_EQ(decode_in_pieces(body, every), whole) << "byte by byte";
  return whole;
}

TEST(ChunkedDecoder, moves_the_payload_together) {
  const Decoded decoded = decode("5\r\nhello\r\n00A\r\n 0123456\r\n\r\n1\r\n!\r\n0\r\n\r\n");
  EXPECT_TRUE(decoded.done);
  EXPECT_EQ(decoded.payload, "hello 0123456\r\n!");
}

TEST(ChunkedDecoder, stops_at_the_end_of_the_body) {
  const std::string body = "a\r\n0123456789\r\n000\r\n\r\n";
  const Decoded decoded = decode(body + "GET / HTTP/1.1\r\n");
  EXPECT_TRUE(decoded.done);
  EXPECT_EQ(decoded.consumed, body.size());
}

TEST(ChunkedDecoder, stays_done) {
  ChunkedDecoder decoder;
  std::string body = "0\r\n\r\n";
  ASSERT_TRUE(decoder.decode(body)->done);
  const auto again = decoder.decode(body);
  ASSERT_TRUE(again.has_value());
  EXPECT_TRUE(again->done);
  EXPECT_EQ(again->consumed, 0U);
}

TEST(ChunkedDecoder, is_not_done_before_the_last_byte) {
  for (const std::string_view body : {"", "5", "5\r\nhell", "5\r\nhello\r\n0\r\n", "0\r\n\r", "0\r\nX: y\r\n", "0\r\nX: y"}) {
    const Decoded decoded = decode(body);
    EXPECT_EQ(decoded.status, 0) << body;
    EXPECT_FALSE(decoded.done) << body;
  }
}

TEST(ChunkedDecoder, rejects_sizes_that_are_not_plain_hexadecimal) {
  for (const std::string_view size : {"", "+5", "-5", "0x5", " 5", "\t5", "5 ", "5\t", "5,", "g", "5g", "5_0", "\xef\xbc\x95", "5\x0b"}) {
    EXPECT_EQ(decode(std::string(size) + "\r\nhello\r\n0\r\n\r\n").status, 400) << size;
  }
  EXPECT_EQ(decode(std::string("5\0\r\nhello\r\n0\r\n\r\n", 16)).status, 400);
}

TEST(ChunkedDecoder, rejects_sizes_that_overflow) {
  for (const std::string_view size :
       {"8000000000000000", "FFFFFFFFFFFFFFFF", "fffffffffffffffe", "10000000000000005", "00000000000000005"}) {
    EXPECT_EQ(decode(std::string(size) + "\r\nhello").status, 400) << size;
  }
  EXPECT_EQ(decode("7fffffffffffffff\r\nhello").payload, "hello");
  EXPECT_EQ(decode("0000000000000005\r\nhello").payload, "hello");
}

TEST(ChunkedDecoder, rejects_line_ends_other_than_crlf) {
  for (const std::string_view body :
       {"5\nhello\r\n0\r\n\r\n", "5\rX\r\nhello\r\n0\r\n\r\n", "5\r\nhello\n0\r\n\r\n", "5\r\nhelloXX0\r\n\r\n", "5\r\nhello\rX0\r\n\r\n",
        "5\r\nhello\r\n0\n\r\n", "5\r\nhello\r\n0\r\n\n", "0\r\n\rX", "0\r\nX: y\n\r\n", "0\r\nX: y\rZ\r\n\r\n",
        "5\r\nhelloAAAA\r\n0\r\n\r\n", "5\r\r\nhello\r\n0\r\n\r\n"}) {
    EXPECT_EQ(decode(body).status, 400) << body;
  }
}

TEST(ChunkedDecoder, drops_extensions) {
  for (const std::string_view extension :
       {";a", ";a=b", "; a = b", " ; a\t=\tb ;c", ";a=\"b\"", ";a=\"\";b", ";a=\"b\\\"c;d=e\" ;f", ";a;b;c=d"}) {
    const Decoded decoded = decode("5" + std::string(extension) + "\r\nhello\r\n0" + std::string(extension) + "\r\n\r\n");
    EXPECT_TRUE(decoded.done) << extension;
    EXPECT_EQ(decoded.payload, "hello") << extension;
  }
}

TEST(ChunkedDecoder, rejects_malformed_extensions) {
  for (const std::string_view extension :
       {";",     "; ",        ";=b",       ";a=",       ";a= ",          ";a ",         ";a=b ", ";;a",   ";a=b=c",  ";a\n", ";\n",
        ";a=\"", ";a=\"\n\"", ";a=\"b\"c", ";a=\"b\" ", ";a=\"\\\x01\"", ";a=\"\x01\"", ";a b",  ";\x01", ";a=b\rc", "g;b",  ";a=b "}) {
    EXPECT_EQ(decode("5" + std::string(extension) + "\r\nhello\r\n0\r\n\r\n").status, 400) << extension;
  }
}

TEST(ChunkedDecoder, bounds_the_extensions_of_a_chunk) {
  EXPECT_TRUE(decode("1;" + std::string(extension_bytes_max - 1, 'a') + "\r\nx\r\n0\r\n\r\n").done);
  EXPECT_EQ(decode("1;" + std::string(extension_bytes_max, 'a') + "\r\nx\r\n0\r\n\r\n").status, 400);
}

TEST(ChunkedDecoder, bounds_the_extensions_of_a_body_by_its_payload) {
  const std::string extension = ";" + std::string(200, 'a');
  const auto body_of = [&](std::size_t payload) {
    std::string body;
    char size[20];
    std::snprintf(size, sizeof size, "%zx", payload);
    for (int i = 0; i < 60; ++i) body += size + extension + "\r\n" + std::string(payload, 'x') + "\r\n";
    return body + "0\r\n\r\n";
  };
  const std::string small = body_of(1);
  EXPECT_EQ(decode_in_pieces(small, {small.size()}).status, 400);
  const std::string large = body_of(300);
  EXPECT_TRUE(decode_in_pieces(large, {large.size()}).done);
}

TEST(ChunkedDecoder, keeps_trailers) {
  const Decoded decoded = decode("0\r\nX-Sum:abc\r\nServer-Timing: \t a \r\nX:POST /x HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(decoded.done);
  EXPECT_EQ(decoded.trailers, "X-Sum: abc\r\nServer-Timing: a\r\nX: POST /x HTTP/1.1\r\n");
}

TEST(ChunkedDecoder, drops_fields_that_must_not_be_trailers) {
  const Decoded decoded = decode(
      "0\r\nContent-Length: 100\r\nHost: evil\r\ntransfer-encoding: chunked\r\nX-A: 1\r\nAuthorization: x\r\nX-Forwarded-For: 6.6.6.6\r\n"
      "Set-Cookie: a\r\nSET_COOKIE: a\r\nIf-Match: a\r\nContent_Length: 3\r\nX-B: 2\r\nSec-Fetch-Site: none\r\nConnection: "
      "close\r\nTrailer: a\r\n\r\n");
  EXPECT_TRUE(decoded.done);
  EXPECT_EQ(decoded.trailers, "X-A: 1\r\nX-B: 2\r\n");
}

TEST(ChunkedDecoder, rejects_malformed_trailers) {
  for (const std::string_view line : {": x", "garbage", "X : y", " X: y", "X\x01: y", "X: \x7f", "X Y: z"}) {
    EXPECT_EQ(decode("0\r\n" + std::string(line) + "\r\n\r\n").status, 400) << line;
  }
}

TEST(ChunkedDecoder, bounds_the_trailer_section) {
  const std::string long_field = "0\r\nX: " + std::string(trailer_bytes_max - 2, 'x');
  EXPECT_EQ(decode_in_pieces(long_field, {long_field.size()}).status, 431);
  std::string fields = "0\r\n";
  for (std::uint32_t i = 0; i < trailer_count_max; ++i) fields += "Host: a\r\n";
  EXPECT_TRUE(decode(fields + "\r\n").done);
  EXPECT_EQ(decode(fields + "X: y\r\n\r\n").status, 431);
}

}  // namespace chunked_decoder_test
}  // namespace steelyard::http1
