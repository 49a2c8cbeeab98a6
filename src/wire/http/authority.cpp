// The host is judged by its first byte: '[' opens an IPv6 literal, everything else is a name.
#include "wire/http/authority.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstdint>

#include "base/ascii.hpp"
#include "wire/http/characters.hpp"

namespace steelyard::http {

namespace {

constexpr std::size_t name_bytes_max = 255;  // RFC 1035 §2.3.4

bool is_ipv6(std::string_view text) {
  std::array<char, INET6_ADDRSTRLEN> terminated{};
  if (text.size() >= terminated.size()) return false;
  std::ranges::copy(text, terminated.begin());
  in6_addr address{};
  return inet_pton(AF_INET6, terminated.data(), &address) == 1;
}

bool is_name(std::string_view text) {
  if (text.empty() || text.size() > name_bytes_max) return false;
  char previous = '.';
  for (const char c : text) {
    if (!is(c, host_char) || (c == '.' && previous == '.')) return false;
    previous = c;
  }
  return true;
}

bool is_port(std::string_view text) { return text.size() <= 5 && parse_unsigned<std::uint16_t>(text).has_value(); }

// The end of the host, npos where the host is none.
std::size_t host_end(std::string_view text) {
  if (text.starts_with('[')) {
    const std::size_t bracket = text.find(']');
    if (bracket == std::string_view::npos || !is_ipv6(text.substr(1, bracket - 1))) return std::string_view::npos;
    return bracket + 1;
  }
  const std::size_t end = std::min(text.find(':'), text.size());
  return is_name(text.substr(0, end)) ? end : std::string_view::npos;
}

}  // namespace

bool is_authority(std::string_view text) {
  const std::size_t end = host_end(text);
  if (end == std::string_view::npos) return false;
  const std::string_view rest = text.substr(end);
  return rest.empty() || rest == ":" || (rest.front() == ':' && is_port(rest.substr(1)));
}

bool is_authority_with_port(std::string_view text) {
  const std::size_t end = host_end(text);
  return end != std::string_view::npos && end < text.size() && text[end] == ':' && is_port(text.substr(end + 1));
}

}  // namespace steelyard::http
