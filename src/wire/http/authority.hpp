// host[:port] as it stands in Host and in absolute targets (RFC 3986 §3.2, RFC 9110 §4.2). Strict and pure.
#pragma once

#include <string_view>

namespace steelyard::http {

// Whether `text` is a name, an IPv4 address or a bracketed IPv6 address, with or without a port of 0 to 65535. User
// information, percent-encoding, lists and empty labels are refused; an empty port ("host:") and a final dot are not.
bool is_authority(std::string_view text);

// The same with a port that must be there: the target of CONNECT (RFC 9112 §3.2.3).
bool is_authority_with_port(std::string_view text);

}  // namespace steelyard::http
