// The body of one message as it comes off a stream: knows where it ends, takes the chunked coding off, and tells a body that
// was cut short from one that is complete. Used for both sides. Owned by the exchange.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "base/error.hpp"
#include "net/stream.hpp"
#include "wire/http1/chunked_decoder.hpp"

namespace steelyard {

class BodyReader {
 public:
  BodyReader(Stream& stream, http::BodyFraming framing, Side side);

  struct Piece {
    std::span<char> payload;   // lies in the memory that was given
    std::span<char> leftover;  // what was received beyond the end of the body
  };
  // What of `received`, which follows the head or an earlier piece directly, belongs to the body.
  Result<Piece> take(std::span<char> received);
  // Receives into `memory` and takes. would_block: wait until the stream is readable.
  Result<Piece> read(std::span<char> memory);

  [[nodiscard]] http::BodyKind kind() const { return framing_.kind; }
  [[nodiscard]] bool done() const { return done_; }
  [[nodiscard]] std::uint64_t payload_bytes() const { return payload_bytes_; }
  // Bytes still to come, where that is known.
  [[nodiscard]] std::uint64_t length_left() const { return framing_.kind == http::BodyKind::length ? length_left_ : 0; }
  // Bytes have come beyond the end of the body.
  [[nodiscard]] bool overran() const { return overran_; }
  // So many bytes of a body of known length were moved without passing here.
  void skip(std::uint64_t count);
  [[nodiscard]] std::string_view trailers() const { return decoder_ ? decoder_->trailers() : std::string_view{}; }
  [[nodiscard]] Stream& stream() { return stream_; }
  // Why the last take() failed as malformed.
  [[nodiscard]] const http::ParseError& parse_error() const { return parse_error_; }

 private:
  Result<Piece> cut(std::span<char> received);

  Stream& stream_;
  http::BodyFraming framing_;
  Side side_;
  bool done_;
  bool overran_ = false;
  std::uint64_t length_left_;
  std::uint64_t payload_bytes_ = 0;
  std::optional<http1::ChunkedDecoder> decoder_;
  http::ParseError parse_error_;
};

}  // namespace steelyard
