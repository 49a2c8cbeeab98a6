#include "decide/route/host_pattern.hpp"

#include <algorithm>

#include "base/ascii.hpp"

namespace steelyard::route {
namespace {

// The final dot of an absolute name says nothing about which host is meant (RFC 3986 §3.2.2).
std::string_view without_final_dot(std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  return name;
}

}  // namespace

HostPattern read_host_pattern(std::string_view text) {
  if (text.empty()) return {};
  const HostAndPort parts = split_port(text);
  HostPattern pattern;
  pattern.port = parts.port.empty() ? any_port : parse_unsigned<std::uint16_t>(parts.port.substr(1)).value_or(any_port);
  const bool wildcard = parts.host.starts_with("*.");
  pattern.kind = wildcard ? HostPattern::Kind::wildcard : HostPattern::Kind::exact;
  pattern.name = to_lower(without_final_dot(wildcard ? parts.host.substr(2) : parts.host));
  return pattern;
}

Authority read_authority(std::string_view text, std::uint16_t default_port, std::span<char, host_bytes_max> buffer) {
  const HostAndPort parts = split_port(text);
  Authority authority{.port = default_port};
  if (parts.port.size() > 1) {  // an empty port is the default one (RFC 3986 §3.2.3)
    const auto port = parse_unsigned<std::uint16_t>(parts.port.substr(1));
    if (!port || *port == 0) return {};
    authority.port = *port;
  }
  const std::string_view name = without_final_dot(parts.host);
  // An empty first label would make "*." match without a label.
  if (name.size() > buffer.size() || name.starts_with('.')) return {};
  std::ranges::transform(name, buffer.begin(), [](char c) { return to_lower(c); });
  authority.name = {buffer.data(), name.size()};
  return authority;
}

HostAndPort split_port(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || text.substr(colon).contains(']')) return {text, {}};
  return {text.substr(0, colon), text.substr(colon)};
}

}  // namespace steelyard::route
