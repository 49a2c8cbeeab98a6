// How a try failed, in a few words for logs and status pages, and whether an answer speaks against its server. Pure.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/error.hpp"

namespace steelyard {

// `status`: of the answer, where the error is `rejected`. The text is static.
[[nodiscard]] std::string_view in_words(ErrorKind kind, std::uint16_t status);

// Statuses of 500 and more, but for those by which a server says that it lacks what the request asks for (501, 505).
constexpr bool speaks_against_server(int status) { return status >= 500 && status != 501 && status != 505; }

}  // namespace steelyard
