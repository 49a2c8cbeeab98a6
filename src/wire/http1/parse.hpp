// HTTP/1.x heads: bytes → RequestHead and ResponseHead (RFC 9112). Pure and strict: what the RFCs leave to choice is refused,
// so that no two readers of the same bytes can disagree. Bodies are framed in framing.hpp, and there only.
#pragma once

#include <cstddef>
#include <expected>
#include <string_view>

#include "wire/http/message.hpp"

namespace steelyard::http1 {

// How far a head was looked at, so that a head that arrives in pieces is not scanned again from its start.
struct ScanState {
  std::size_t offset = 0;      // where to go on
  std::size_t line_start = 0;  // of the line that is not complete yet
  bool request_line_seen = false;
};

// Both return the number of bytes that the head takes, 0 while it is not complete, or why it is refused. `bytes` is everything
// received since the message began. `out` is valid only after a complete head and views into `bytes`.
std::expected<std::size_t, http::ParseError> parse_request(std::string_view bytes, ScanState& scan, const http::HeadLimits& limits,
                                                           http::RequestHead& out);
// `method` is that of the request being answered: it decides whether a body follows (RFC 9112 §6.3).
std::expected<std::size_t, http::ParseError> parse_response(std::string_view bytes, ScanState& scan, const http::HeadLimits& limits,
                                                            http::Method method, http::ResponseHead& out);

}  // namespace steelyard::http1
