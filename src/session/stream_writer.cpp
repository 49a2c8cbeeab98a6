#include "session/stream_writer.hpp"

#include <charconv>
#include <cstring>

namespace steelyard {

Result<void> StreamWriter::send(std::span<const char> bytes) {
  if (!tail_.empty()) {
    tail_.append(bytes);
    return {};
  }
  if (bytes.empty()) return {};
  const auto sent = stream_.write(bytes);
  if (!sent && sent.error().kind != ErrorKind::would_block) {
    Error error = sent.error();
    error.side = side_;
    return std::unexpected(error);
  }
  const std::size_t count = sent.value_or(0);
  sent_bytes_ += count;
  if (count < bytes.size()) tail_.append(bytes.subspan(count));
  return {};
}

Result<void> StreamWriter::flush() {
  while (!tail_.empty()) {
    const auto sent = stream_.write(tail_.bytes());
    if (!sent) {
      Error error = sent.error();
      error.side = side_;
      return std::unexpected(error);
    }
    sent_bytes_ += *sent;
    tail_.consume(*sent);
    if (!tail_.empty()) return fail(ErrorKind::would_block, side_);
  }
  return {};
}

std::span<const char> encode_chunk(std::span<char> payload, Last last, std::string_view trailers) {
  char* begin = payload.data();
  char* end = payload.data() + payload.size();
  if (!payload.empty()) {
    char digits[16];
    const auto written = std::to_chars(digits, digits + sizeof digits, payload.size(), 16);
    const auto count = static_cast<std::size_t>(written.ptr - digits);
    begin -= count + 2;
    std::memcpy(begin, digits, count);
    std::memcpy(begin + count, "\r\n", 2);
    std::memcpy(end, "\r\n", 2);
    end += 2;
  }
  if (last == Last::yes) {
    std::memcpy(end, "0\r\n", 3);
    end += 3;
    if (!trailers.empty()) std::memcpy(end, trailers.data(), trailers.size());
    end += trailers.size();
    std::memcpy(end, "\r\n", 2);
    end += 2;
  }
  return {begin, end};
}

}  // namespace steelyard
