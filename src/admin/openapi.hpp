// The OpenAPI 3.1 document of the admin API, made from the table of endpoints and the tables of bodies. Pure.
#pragma once

#include <string>

#include "admin/control.hpp"

namespace steelyard::admin {

[[nodiscard]] Json openapi();
// The same as text, made once.
[[nodiscard]] const std::string& openapi_document();

}  // namespace steelyard::admin
