#include "load/url.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/ascii.hpp"
#include "wire/http/authority.hpp"
#include "wire/http/characters.hpp"

namespace steelyard::load {
namespace {

constexpr std::string_view example = "write it as http://127.0.0.1:8080/path";

// The text before "://", or nothing: a query may hold another URL.
std::string_view scheme_of(std::string_view text) {
  const std::size_t end = text.find("://");
  return end == text.find_first_of(":/?") ? text.substr(0, std::min(end, text.size())) : std::string_view{};
}

}  // namespace

std::expected<Url, std::string> parse_url(std::string_view text) {
  const std::string_view scheme = scheme_of(text);
  if (equals_ignoring_case(scheme, "https")) {
    return std::unexpected(fmt::format("{}: https is not spoken here; point at a listener that speaks plain http", text));
  }
  const bool named = !scheme.empty() && scheme.size() < text.size();
  if (named && !equals_ignoring_case(scheme, "http")) return std::unexpected(fmt::format("{}: not an http URL; {}", text, example));
  std::string_view rest = named ? text.substr(scheme.size() + 3) : text;
  rest = rest.substr(0, rest.find('#'));
  const std::size_t authority_bytes = std::min(rest.find_first_of("/?"), rest.size());

  Url url;
  url.authority = rest.substr(0, authority_bytes);
  url.target = rest.substr(authority_bytes);
  if (!url.target.starts_with('/')) url.target.insert(0, "/");
  if (url.authority.empty() || !http::is_authority(url.authority))
    return std::unexpected(fmt::format("{}: names no valid host; {}", text, example));
  if (!http::all_of(url.target, http::path_char | http::query_char)) {
    return std::unexpected(fmt::format("{}: has a character that must be percent-encoded, such as %20 for a space", text));
  }
  // An authority that is valid has a colon outside brackets only before its port.
  const std::size_t colon = url.authority.ends_with(']') ? std::string::npos : url.authority.rfind(':');
  url.host = url.authority.substr(0, colon);
  if (url.host.starts_with('[')) url.host = url.host.substr(1, url.host.size() - 2);
  if (colon != std::string::npos && colon + 1 != url.authority.size()) {
    const auto port = parse_unsigned<std::uint16_t>(url.authority.substr(colon + 1));
    if (!port || *port == 0) return std::unexpected(fmt::format("{}: the port must be from 1 to 65535", text));
    url.port = *port;
  }
  return url;
}

}  // namespace steelyard::load
