// What statuses are called (RFC 9110 §15, RFC 6585 and the IANA registry).
#pragma once

#include <string_view>

namespace steelyard::http {

// "" where it has no name here.
[[nodiscard]] std::string_view reason_phrase(int status);

}  // namespace steelyard::http
