// Which fields may come after a body (RFC 9110 §6.5.1). Pure.
#pragma once

#include "wire/http/message.hpp"

namespace steelyard::http1 {

// False for what frames, routes, modifies or authenticates a message or says who sent it: whoever merges trailers into the
// header would be deceived after all decisions were taken.
bool may_be_trailer(const http::Field& field);

}  // namespace steelyard::http1
