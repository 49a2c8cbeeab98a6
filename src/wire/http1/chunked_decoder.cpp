// A machine with one state for each place between two bytes of the grammar, so that it resumes anywhere. Payload is moved in
// bulk; only the lines between are read byte by byte.
#include "wire/http1/chunked_decoder.hpp"

#include <algorithm>
#include <cstring>

#include "wire/http/characters.hpp"
#include "wire/http1/field_line.hpp"
#include "wire/http1/trailer_fields.hpp"

namespace steelyard::http1 {

namespace {

using http::ParseError;
using http::refuse;

constexpr bool is_blank(char c) { return c == ' ' || c == '\t'; }

constexpr const char* bad_extension = "A chunk extension is malformed.";

}  // namespace

std::expected<ChunkedDecoder::Step, ParseError> ChunkedDecoder::decode(std::span<char> buffer) {
  std::size_t read = 0;
  std::size_t written = 0;
  while (read < buffer.size() && state_ != State::done) {
    if (state_ != State::payload) {
      if (auto taken = take_control(buffer[read++]); !taken) return std::unexpected(taken.error());
      continue;
    }
    const std::size_t count = std::min<std::uint64_t>(remaining_, buffer.size() - read);
    if (read != written) std::memmove(buffer.data() + written, buffer.data() + read, count);
    read += count;
    written += count;
    remaining_ -= count;
    payload_total_ += count;
    if (remaining_ == 0) state_ = State::payload_cr;
  }
  return Step{.payload = written, .consumed = read, .done = state_ == State::done};
}

// One byte of anything but payload.
ChunkedDecoder::Checked ChunkedDecoder::take_control(char c) {
  switch (state_) {
    case State::size_start:
    case State::size: return take_size_digit(c);
    case State::size_lf:
      if (c != '\n') return refuse(400, describe_control('\r'));
      return end_size_line();
    case State::payload_cr:
      if (c != '\r') return refuse(400, "A chunk is longer than its size.");
      state_ = State::payload_lf;
      return {};
    case State::payload_lf:
      if (c != '\n') return refuse(400, describe_control('\r'));
      state_ = State::size_start;
      return {};
    case State::trailer_start:
    case State::trailer:
    case State::trailer_lf:
    case State::end_lf: return take_trailer(c);
    default: return take_extension(c);
  }
}

// chunk-size = 1*HEXDIG. No sign, prefix or white space; at most 16 digits, and no more than sums of lengths can hold.
ChunkedDecoder::Checked ChunkedDecoder::take_size_digit(char c) {
  const int digit = http::hex_value(c);
  if (digit >= 0) {
    if (++size_digits_ > 16 || remaining_ > static_cast<std::uint64_t>(INT64_MAX) >> 4U) return refuse(400, "A chunk size is too large.");
    remaining_ = remaining_ << 4U | static_cast<std::uint64_t>(digit);
    state_ = State::size;
    return {};
  }
  if (state_ == State::size_start) return refuse(400, "A chunk has no valid size.");
  if (c == '\r') {
    state_ = State::size_lf;
  } else if (c == ';') {
    state_ = State::extension_name_start;
  } else if (is_blank(c)) {
    state_ = State::before_extension;
  } else {
    return refuse(400, "A chunk has no valid size.");
  }
  return {};
}

// chunk-ext = *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS ( token / quoted-string ) ] ). CR ends it in any place where it is
// complete and nowhere else, not in quotes either: what a lenient reader would take for the end of the line is refused.
ChunkedDecoder::Checked ChunkedDecoder::take_extension(char c) {
  if (++extension_bytes_ > extension_bytes_max) return refuse(400, "A chunk extension is too long.");
  const bool token = http::is(c, http::token_char);
  const bool blank = is_blank(c);
  switch (state_) {
    case State::extension_name_start:
      if (token) state_ = State::extension_name;
      return token || blank ? Checked{} : refuse(400, bad_extension);
    case State::extension_value_start:
      if (token) state_ = State::extension_value;
      if (c == '"') state_ = State::quoted;
      return token || blank || c == '"' ? Checked{} : refuse(400, bad_extension);
    case State::quoted:
      if (!http::is(c, http::value_char)) return refuse(400, bad_extension);
      if (c == '"') state_ = State::quoted_end;
      if (c == '\\') state_ = State::quoted_escape;
      return {};
    case State::quoted_escape: state_ = State::quoted; return http::is(c, http::value_char) ? Checked{} : refuse(400, bad_extension);
    default: break;
  }
  const bool in_token = state_ == State::extension_name || state_ == State::extension_value;
  if (in_token && token) return {};
  const bool name_ended = state_ == State::extension_name || state_ == State::extension_name_end;
  const bool after_blank = state_ == State::before_extension || state_ == State::extension_name_end;
  if (c == ';') {
    state_ = State::extension_name_start;
  } else if (c == '=' && name_ended) {
    state_ = State::extension_value_start;
  } else if (blank) {
    state_ = name_ended ? State::extension_name_end : State::before_extension;
  } else if (c == '\r' && !after_blank) {
    state_ = State::size_lf;
  } else {
    return refuse(400, bad_extension);
  }
  return {};
}

ChunkedDecoder::Checked ChunkedDecoder::end_size_line() {
  extension_bytes_total_ += extension_bytes_;
  if (extension_bytes_total_ > extension_bytes_spare + payload_total_) return refuse(400, "The body consists of chunk extensions.");
  state_ = remaining_ == 0 ? State::trailer_start : State::payload;
  size_digits_ = 0;
  extension_bytes_ = 0;
  return {};
}

ChunkedDecoder::Checked ChunkedDecoder::take_trailer(char c) {
  if (state_ == State::end_lf || state_ == State::trailer_lf) {
    if (c != '\n') return refuse(400, describe_control('\r'));
    if (state_ == State::trailer_lf) return end_trailer_line();
    state_ = State::done;
    return {};
  }
  if (c == '\r') {
    state_ = state_ == State::trailer_start ? State::end_lf : State::trailer_lf;
    return {};
  }
  if (!http::is(c, http::value_char)) return refuse(400, describe_control(c));
  if (++trailer_bytes_ > trailer_bytes_max) return refuse(431, "The trailer section is too long.");
  trailers_.push_back(c);
  state_ = State::trailer;
  return {};
}

ChunkedDecoder::Checked ChunkedDecoder::end_trailer_line() {
  if (++trailer_count_ > trailer_count_max) return refuse(431, "There are too many trailer fields.");
  const std::string line = trailers_.substr(trailer_line_start_);
  trailers_.resize(trailer_line_start_);
  const auto field = parse_field_line(line);
  if (!field) return std::unexpected(field.error());
  if (may_be_trailer(*field)) {
    trailers_.append(field->name).append(": ").append(field->value).append("\r\n");
    trailer_line_start_ = trailers_.size();
  }
  state_ = State::trailer_start;
  return {};
}

}  // namespace steelyard::http1
