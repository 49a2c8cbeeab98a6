// Where a body ends: the only place that decides it. The outline of the source file is RFC 9112 §6.3. Ambiguous means refused.
#pragma once

#include <expected>

#include "wire/http/message.hpp"

namespace steelyard::http1 {

// Fill body, keep_alive, expects_continue, upgrade, has_content_length and every field's hop_by_hop from the fields. The
// parsers of heads call them; calling them again changes nothing.
std::expected<void, http::ParseError> frame_request(http::RequestHead& head);
std::expected<void, http::ParseError> frame_response(http::ResponseHead& head, http::Method request_method);

}  // namespace steelyard::http1
