// The Connection field and what follows from it (RFC 9110 §7.6.1): whether the connection persists, whether it may be
// upgraded, and which fields end at this hop. Pure.
#pragma once

#include <expected>

#include "wire/http/message.hpp"

namespace steelyard::http1 {

struct ConnectionOptions {
  bool close = false;
  bool keep_alive = false;
  bool upgrade = false;
};

// Marks every field that must not be forwarded and returns the options that the proxy itself acts on.
std::expected<ConnectionOptions, http::ParseError> apply_connection_options(http::Fields& fields);

// The protocols of the Upgrade field where it can be offered or accepted as it stands, else empty. HTTP/2 in clear (h2c) and
// TLS within the connection never are: behind such a switch the proxy would be blind to requests that it should judge.
std::string_view upgrade_protocols(const http::Fields& fields);

}  // namespace steelyard::http1
