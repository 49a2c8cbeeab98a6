// What the proxy knows by name is never a trailer, what it does not know may be one unless it is listed here.
#include "wire/http1/trailer_fields.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include "base/ascii.hpp"

namespace steelyard::http1 {

namespace {

constexpr std::array<std::string_view, 24> forbidden = {
    "age",
    "authentication-info",
    "authorization",
    "cache-control",
    "clear-site-data",
    "content-encoding",
    "content-location",
    "content-range",
    "cookie",
    "expires",
    "location",
    "pragma",
    "priority",
    "proxy-authentication-info",
    "proxy-status",
    "range",
    "retry-after",
    "set-cookie",
    "set-cookie2",
    "strict-transport-security",
    "true-client-ip",
    "vary",
    "warning",
    "www-authenticate",
};

// Conditions, content negotiation, client addresses, what browsers vouch for, and grants to scripts.
constexpr std::array<std::string_view, 8> forbidden_prefixes = {
    "if-", "accept", "x-forwarded", "x-real-", "x-original-", "x-client", "sec-", "access-control-",
};

bool equals_folded(std::string_view name, std::string_view lower) {
  return std::ranges::equal(name, lower, [](char a, char b) { return (a == '_' ? '-' : to_lower(a)) == b; });
}

}  // namespace

bool may_be_trailer(const http::Field& field) {
  if (field.id != http::FieldName::other || field.hop_by_hop) return false;
  const bool listed = std::ranges::any_of(forbidden, [&](std::string_view lower) { return equals_folded(field.name, lower); });
  const bool prefixed = std::ranges::any_of(
      forbidden_prefixes, [&](std::string_view prefix) { return equals_folded(field.name.substr(0, prefix.size()), prefix); });
  return !listed && !prefixed;
}

}  // namespace steelyard::http1
