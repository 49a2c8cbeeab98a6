// The names of fields: which of those the proxy knows is meant. Pure.
#pragma once

#include <string_view>

#include "wire/http/message.hpp"

namespace steelyard::http {

// `name` must be a token.
FieldName classify(std::string_view name);

// Whether `name`, which contains '_', becomes a known name once '_' is read as '-', as CGI and its heirs do. Such a field is
// never forwarded: a server would take it for what only we may say (X_Forwarded_For) or for framing (Content_Length).
bool is_alias_of_known(std::string_view name);

}  // namespace steelyard::http
