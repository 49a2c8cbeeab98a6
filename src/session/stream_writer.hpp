// Sends at once what a stream takes and keeps only the tail that it did not take. Back-pressure is its being non-empty: who
// feeds it stops reading until it has been flushed. Owned by the exchange.
#pragma once

#include <cstdint>
#include <span>

#include "base/error.hpp"
#include "net/stream.hpp"
#include "runtime/buffer.hpp"
#include "wire/http/message.hpp"

namespace steelyard {

class StreamWriter {
 public:
  StreamWriter(Stream& stream, Side side) : stream_(stream), side_(side) {}

  Result<void> send(std::span<const char> bytes);
  Result<void> send(std::string_view bytes) { return send(std::span(bytes.data(), bytes.size())); }
  // Sends more of the tail; would_block until nothing is left.
  Result<void> flush();
  [[nodiscard]] bool empty() const { return tail_.empty(); }
  [[nodiscard]] std::uint64_t sent_bytes() const { return sent_bytes_; }
  void count_sent(std::uint64_t bytes) { sent_bytes_ += bytes; }
  [[nodiscard]] Stream& stream() { return stream_; }

 private:
  Stream& stream_;
  Side side_;
  std::uint64_t sent_bytes_ = 0;  // taken by the stream
  Buffer tail_;
};

// Puts the chunked coding around `payload`, in place: there must be 20 bytes of room before it, and behind it 8 bytes and room for the
// trailers. An empty payload that is not the last gives nothing.
enum class Last : bool { no, yes };
std::span<const char> encode_chunk(std::span<char> payload, Last last, std::string_view trailers);

}  // namespace steelyard
