// One spelling for each path, so that routes match what the server behind will serve. Pure; the query is no part of it.
//
// What is made equal (RFC 3986 §6.2.2), and forwarded so:
//   %41 → A         encoded unreserved characters are decoded, once; other hexadecimal digits become upper case
//   /a/./b/../c     dot segments are removed, also where a dot was encoded; ".." at the root stays at the root
//   //a///b         runs of slashes become one: many servers merge them, so "//private" would pass a rule for "/private". Keys
//                   with empty segments, which RFC 3986 allows, cannot be reached through us
// What is refused, because servers disagree about it:
//   %zz  %u002e  %  what is no percent-encoding; %00
//   \  %5c          backslashes, which some servers take for slashes
//   /..;x/  /;x/    dot segments and empty segments with parameters, which Java servers strip; "/a;x" passes
//   ..%2f  a%2f%2fb an encoded slash beside a dot segment or an empty one, parameters or not; "/a%2Fb" passes and stays one segment
//   %c0%ae          overlong UTF-8, another spelling of ASCII to careless decoders
// %25 is never decoded: "%252e" stays what it is, and normalising twice changes nothing.
#pragma once

#include <expected>
#include <span>
#include <string_view>

#include "wire/http/message.hpp"

namespace steelyard::http {

// Returns `path` itself where nothing is to be done, else its normal form in `out`, which must hold path.size() bytes; the
// normal form is never longer. "*" is its own normal form.
std::expected<std::string_view, ParseError> normalize_path(std::string_view path, std::span<char> out);

}  // namespace steelyard::http
