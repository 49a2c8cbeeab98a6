// Takes the chunked transfer coding off a body (RFC 9112 §7.1), in place: the payload of a buffer is moved together to its
// front. Chunk extensions are bounded and dropped. Trailer fields are validated and kept, except those that must not be
// trailers (RFC 9110 §6.5.1: framing, routing, …), which are dropped. One for each body; its state does not grow with it.
#pragma once

#include <cstdint>
#include <expected>
#include <span>
#include <string>

#include "wire/http/message.hpp"

namespace steelyard::http1 {

// Extensions of one chunk, and of a whole body beyond one byte for each byte of payload: some clients sign every chunk, and
// an upload of any length must pass, but not one that consists of extensions.
inline constexpr std::uint32_t extension_bytes_max = 256;
inline constexpr std::uint64_t extension_bytes_spare = 8 * 1024;
inline constexpr std::size_t trailer_bytes_max = 8 * 1024;
inline constexpr std::uint32_t trailer_count_max = 32;  // dropped ones count

class ChunkedDecoder {
 public:
  struct Step {
    std::size_t payload = 0;   // bytes of payload, now at the front of the buffer
    std::size_t consumed = 0;  // bytes of the buffer that belong to this body; less than given only when done
    bool done = false;
  };
  // Takes the next bytes of the body. After an error the decoder is of no more use.
  std::expected<Step, http::ParseError> decode(std::span<char> buffer);

  // The accepted trailer section as it goes out again: "Name: value\r\n" for each field; empty when there is none. Valid when
  // done. Owned by the decoder.
  [[nodiscard]] std::string_view trailers() const { return trailers_; }

 private:
  enum class State : std::uint8_t {
    size_start,
    size,
    before_extension,  // white space was seen: ';' must follow
    extension_name_start,
    extension_name,
    extension_name_end,  // white space was seen: '=' or ';' must follow
    extension_value_start,
    extension_value,
    quoted,
    quoted_escape,
    quoted_end,
    size_lf,
    payload,
    payload_cr,
    payload_lf,
    trailer_start,
    trailer,
    trailer_lf,
    end_lf,
    done,
  };
  using Checked = std::expected<void, http::ParseError>;

  Checked take_control(char c);
  Checked take_size_digit(char c);
  Checked take_extension(char c);
  Checked take_trailer(char c);
  Checked end_size_line();
  Checked end_trailer_line();

  State state_ = State::size_start;
  std::uint8_t size_digits_ = 0;
  std::uint32_t extension_bytes_ = 0;  // of this chunk
  std::uint32_t trailer_count_ = 0;
  std::uint64_t remaining_ = 0;  // of the chunk's payload
  std::uint64_t extension_bytes_total_ = 0;
  std::uint64_t payload_total_ = 0;
  std::size_t trailer_bytes_ = 0;       // of the section, dropped fields included
  std::size_t trailer_line_start_ = 0;  // in trailers_, of the line that is not complete yet
  std::string trailers_;
};

}  // namespace steelyard::http1
