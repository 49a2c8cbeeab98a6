// How single values are spelled in a file: durations, sizes, numbers, shares, status codes and addresses, both
// ways. Pure: text in, a value or the sentence
// that says what is wrong with it out.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "base/time.hpp"
#include "upstream/options.hpp"

namespace steelyard::config {

// "250ms", "1.5s": a number and ns, us, ms, s, m or h. A bare number is refused: nobody remembers its unit.
std::expected<Duration, std::string> parse_duration(std::string_view text);
// The largest unit that gives a whole number.
std::string spell_duration(Duration duration);

// A number of seconds without a unit, as LoadX writes it: "30", "0.5".
std::expected<Duration, std::string> parse_seconds(std::string_view text);

// "65536", "64KiB", "1.5MB".
std::expected<std::uint64_t, std::string> parse_size(std::string_view text);
std::string spell_size(std::uint64_t bytes);

// "1.25": up to four digits after the point, no sign.
std::expected<double, std::string> parse_decimal(std::string_view text);

// "20%" is 0.2. A number without the sign is refused: 0.5 could be a half or half a percent.
std::expected<double, std::string> parse_percent(std::string_view text);
std::string spell_percent(double share);

// "200" or "300-399": status codes of final answers, from `min` to 599.
std::expected<StatusRange, std::string> parse_statuses(std::string_view text, std::uint16_t min);
std::string spell_statuses(StatusRange range);

struct HostPort {
  std::string host;  // without brackets
  std::uint16_t port = 0;
  bool is_ip = false;
};

// "10.0.0.5:8001", "[::1]:8001", "localhost:8001".
std::expected<HostPort, std::string> parse_host_port(std::string_view text);
// The host alone: an IP address, which comes back in its one spelling, or a name.
std::expected<HostPort, std::string> parse_host(std::string_view text);
std::string spell_host_port(std::string_view host, std::uint16_t port);

}  // namespace steelyard::config
