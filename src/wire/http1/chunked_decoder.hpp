// Takes the chunked transfer coding off a body (RFC 9112 §7.1), in place: the payload of a buffer is moved together to its
// front. Chunk extensions are bounded and dropped. Trailer fields are validated and kept, except those that must not be
// trailers (RFC 9110 §6.5.1: framing, routing, …), which are dropped.
#pragma once

#include <cstdint>
#include <expected>
#include <span>
#include <string>

#include "wire/http/message.hpp"

namespace steelyard::http1 {

class ChunkedDecoder {
 public:
  struct Step {
    std::size_t payload = 0;   // bytes of payload, now at the front of the buffer
    std::size_t consumed = 0;  // bytes of the buffer that belong to this body; less than given only when done
    bool done = false;
  };
  std::expected<Step, http::ParseError> decode(std::span<char> buffer);

  // The accepted trailer section as it goes out again: "Name: value\r\n" for each field; empty when there is none. Valid when
  // done. Owned by the decoder.
  [[nodiscard]] std::string_view trailers() const { return trailers_; }

 private:
  std::string trailers_;
};

}  // namespace steelyard::http1
