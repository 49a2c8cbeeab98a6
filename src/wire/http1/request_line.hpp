// The first line of a request (RFC 9112 §3). Pure; the line comes without its end.
#pragma once

#include <expected>
#include <string_view>

#include "wire/http/message.hpp"

namespace steelyard::http1 {

// Fills method, target, form, path, query, version_minor and, for absolute and authority targets, authority.
std::expected<void, http::ParseError> parse_request_line(std::string_view line, http::RequestHead& out);

}  // namespace steelyard::http1
