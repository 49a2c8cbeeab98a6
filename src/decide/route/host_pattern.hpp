// Hosts as routes compare them: lower case, no final dot, the port apart. Reads the patterns of a configuration and the authority
// of a request; whether a pattern is a sound one is decided in check.hpp.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace steelyard::route {

inline constexpr std::size_t host_bytes_max = 255;  // of a host that can match anything but "any host"
inline constexpr std::uint16_t any_port = 0;

struct HostPattern {
  enum class Kind : std::uint8_t { any, exact, wildcard };
  Kind kind = Kind::any;
  std::string name;  // without "*."
  std::uint16_t port = any_port;
};

HostPattern read_host_pattern(std::string_view text);

struct Authority {
  std::string_view name{};  // in the given buffer; empty where the text is no host that a pattern could name
  std::uint16_t port = 0;
};

Authority read_authority(std::string_view text, std::uint16_t default_port, std::span<char, host_bytes_max> buffer);

// Splits "host:port" at the colon before the port, not at one within brackets. `port` has its colon, or is empty.
struct HostAndPort {
  std::string_view host;
  std::string_view port;
};
HostAndPort split_port(std::string_view text);

}  // namespace steelyard::route
