// What of a request decides its route: views into a head that the caller keeps.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "wire/http/message.hpp"

namespace steelyard {

struct Query {
  std::string_view host{};    // the authority, with or without ":port", in any case, perhaps with a final dot
  std::string_view path{};    // normalised, without the query
  std::string_view method{};  // as received: methods are case-sensitive (RFC 9110 §9.1)
  std::span<const http::Field> fields{};
  std::uint16_t default_port = 80;  // of the scheme, for an authority that names none
};

}  // namespace steelyard
