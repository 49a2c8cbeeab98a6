// HTTP/1.x heads: bytes → RequestHead and ResponseHead (RFC 9112). Pure and strict: what the RFCs leave to choice is refused,
// so that no two readers of the same bytes can disagree. Bodies are framed in framing.hpp, and there only.
#pragma once

#include <cstddef>
#include <expected>
#include <string_view>

#include "wire/http/message.hpp"

namespace steelyard::http1 {

// How far a head was looked at, so that a head that arrives in pieces is not scanned again from its start. A new one for each
// message.
struct ScanState {
  std::size_t offset = 0;      // where to go on
  std::size_t line_start = 0;  // of the line that is not complete yet
  std::uint32_t field_count = 0;
  bool request_line_seen = false;  // the first line, of a response too
};

// Both return the number of bytes that the head takes, 0 while it is not complete, or why it is refused. `bytes` is everything
// received since the message began; it may lie elsewhere at each call. `out` is valid only after a complete head and views
// into `bytes` (a path that an absolute target lacks is the literal "/"). The head is framed: nobody else calls frame_request
// or frame_response. An error is found at the same byte however the bytes arrive, as soon as its line is complete or cannot be
// completed any more.
//
// A head is large and meant to be used again: everything in it is set anew.
std::expected<std::size_t, http::ParseError> parse_request(std::string_view bytes, ScanState& scan, const http::HeadLimits& limits,
                                                           http::RequestHead& out);
// `method` is that of the request being answered: it decides whether a body follows (RFC 9112 §6.3).
std::expected<std::size_t, http::ParseError> parse_response(std::string_view bytes, ScanState& scan, const http::HeadLimits& limits,
                                                            http::Method method, http::ResponseHead& out);

}  // namespace steelyard::http1
