#include "session/body_reader.hpp"

#include <algorithm>

namespace steelyard {

BodyReader::BodyReader(Stream& stream, http::BodyFraming framing, Side side)
    : stream_(stream), framing_(framing), side_(side), done_(framing.kind == http::BodyKind::none), length_left_(framing.length) {
  if (framing.kind == http::BodyKind::chunked) decoder_.emplace();
}

Result<BodyReader::Piece> BodyReader::take(std::span<char> received) {
  auto piece = cut(received);
  overran_ = piece && !piece->leftover.empty();
  return piece;
}

Result<BodyReader::Piece> BodyReader::cut(std::span<char> received) {
  switch (framing_.kind) {
    case http::BodyKind::none: return Piece{{}, received};
    case http::BodyKind::length: {
      const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(length_left_, received.size()));
      skip(count);
      return Piece{received.first(count), received.subspan(count)};
    }
    case http::BodyKind::chunked: {
      const auto step = decoder_->decode(received);
      if (!step) {
        parse_error_ = step.error();
        return fail(ErrorKind::malformed, side_);
      }
      done_ = step->done;
      payload_bytes_ += step->payload;
      return Piece{received.first(step->payload), received.subspan(step->consumed)};
    }
    case http::BodyKind::until_close: payload_bytes_ += received.size(); return Piece{received, {}};
  }
  return fail(ErrorKind::malformed, side_);
}

Result<BodyReader::Piece> BodyReader::read(std::span<char> memory) {
  // Of a client's body nothing is read beyond its known end, so that its next request stays in the socket. A server has nothing
  // more to say, and a read that could have brought more shows that it has not.
  const bool exact = side_ == Side::client && framing_.kind == http::BodyKind::length;
  if (exact && length_left_ < memory.size()) memory = memory.first(static_cast<std::size_t>(length_left_));
  auto got = stream_.read(memory);
  if (!got) {
    got.error().side = side_;
    return std::unexpected(got.error());
  }
  if (*got == 0) {
    if (framing_.kind != http::BodyKind::until_close) return fail(ErrorKind::closed, side_);
    done_ = true;
    return Piece{};
  }
  return take(memory.first(*got));
}

void BodyReader::skip(std::uint64_t count) {
  length_left_ -= count;
  payload_bytes_ += count;
  done_ = length_left_ == 0;
}

}  // namespace steelyard
