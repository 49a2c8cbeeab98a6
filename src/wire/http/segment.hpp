// One segment of a path as it is sent. Pure.
#pragma once

#include <string>
#include <string_view>

namespace steelyard::http {

// Percent-encodes what is not unreserved (RFC 3986 §2.3), so that any name is one segment.
[[nodiscard]] std::string encode_segment(std::string_view name);

}  // namespace steelyard::http
