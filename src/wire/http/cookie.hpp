// Reads one cookie of a request, and one parameter of a query. Pure; what is malformed is skipped rather than refused, because
// neither has a say in how a message is framed.
#pragma once

#include <optional>
#include <string_view>

#include "wire/http/message.hpp"

namespace steelyard::http {

// The value of the first cookie of that name (RFC 6265 §4.2.1), without quotes around it.
std::optional<std::string_view> find_cookie(const Fields& fields, std::string_view name);

// The value of the first parameter of that name, as it stands there, encoded or not.
std::optional<std::string_view> find_parameter(std::string_view query, std::string_view name);

}  // namespace steelyard::http
