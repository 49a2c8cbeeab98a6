// See spelling.hpp.
#include "config/spelling.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include "base/ascii.hpp"
#include "net/address.hpp"

namespace steelyard::config {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

// Largest first, for spelling; the longest suffix that fits is found by the letters alone.
constexpr std::array<Unit, 6> duration_units{
    {{"h", 3'600'000'000'000}, {"m", 60'000'000'000}, {"s", 1'000'000'000}, {"ms", 1'000'000}, {"us", 1'000}, {"ns", 1}}};
constexpr std::array<Unit, 6> size_units{
    {{"GiB", 1ULL << 30U}, {"MiB", 1ULL << 20U}, {"KiB", 1ULL << 10U}, {"GB", 1'000'000'000}, {"MB", 1'000'000}, {"kB", 1'000}}};

struct NumberAndUnit {
  std::string_view number;
  std::string_view unit;
};

NumberAndUnit split(std::string_view text) {
  const std::size_t end = std::min(text.find_first_not_of("0123456789."), text.size());
  return {text.substr(0, end), text.substr(end)};
}

// number × factor, exactly; nullopt where it is no decimal number, overflows, or is finer than 1.
std::optional<std::uint64_t> scale(std::string_view number, std::uint64_t factor) {
  const std::size_t point = number.find('.');
  const auto whole = parse_unsigned<std::uint64_t>(number.substr(0, point));
  std::uint64_t result = 0;
  if (!whole || __builtin_mul_overflow(*whole, factor, &result)) return std::nullopt;
  if (point == std::string_view::npos) return result;
  const std::string_view digits = number.substr(point + 1);
  if (digits.empty()) return std::nullopt;
  for (const char digit : digits) {
    if (!is_digit(digit) || factor % 10 != 0) return std::nullopt;
    factor /= 10;
    if (__builtin_add_overflow(result, static_cast<std::uint64_t>(digit - '0') * factor, &result)) return std::nullopt;
  }
  return result;
}

std::expected<Duration, std::string> to_duration(std::optional<std::uint64_t> ns) {
  if (!ns) return std::unexpected("is not a number of this unit that can be kept");
  if (*ns >= static_cast<std::uint64_t>(INT64_MAX)) return std::unexpected("is longer than can be counted");
  return Duration{static_cast<std::int64_t>(*ns)};
}

}  // namespace

std::expected<Duration, std::string> parse_duration(std::string_view text) {
  const auto [number, unit] = split(text);
  if (number.empty()) return std::unexpected("is not a duration");
  if (unit.empty()) return std::unexpected(fmt::format(R"(needs a unit: write "{}s" for seconds, or use ms, us, m or h)", number));
  const auto known = std::ranges::find(duration_units, unit, &Unit::name);
  if (known == duration_units.end()) return std::unexpected(R"(has no unit of time: write "30s", or use ms, us, m or h)");
  return to_duration(scale(number, known->factor));
}

std::string spell_duration(Duration duration) {
  const auto ns = static_cast<std::uint64_t>(duration.count());
  if (ns == 0) return "0s";
  const auto unit = std::ranges::find_if(duration_units, [&](const Unit& u) { return ns % u.factor == 0; });
  return fmt::format("{}{}", ns / unit->factor, unit->name);
}

std::expected<Duration, std::string> parse_seconds(std::string_view text) {
  const auto [number, unit] = split(text);
  if (number.empty() || !unit.empty()) return std::unexpected("is not a number of seconds");
  return to_duration(scale(number, 1'000'000'000));
}

std::expected<std::uint64_t, std::string> parse_size(std::string_view text) {
  const auto [number, unit] = split(text);
  if (number.empty()) return std::unexpected("is not a size");
  std::uint64_t factor = 1;
  if (!unit.empty()) {
    const auto known = std::ranges::find(size_units, unit, &Unit::name);
    if (known == size_units.end())
      return std::unexpected("has no unit of size: write a number of bytes, or use KiB, MiB, GiB, kB, MB or GB");
    factor = known->factor;
  }
  // A fraction of a binary unit is decimal digits of a power of two, which `scale` refuses unless it is exact.
  const auto bytes = scale(number, factor);
  if (!bytes) return std::unexpected("is not a whole number of bytes that can be kept");
  return *bytes;
}

std::string spell_size(std::uint64_t bytes) {
  if (bytes == 0) return "0";
  const auto unit = std::ranges::find_if(size_units, [&](const Unit& u) { return bytes % u.factor == 0; });
  return unit == size_units.end() ? fmt::format("{}", bytes) : fmt::format("{}{}", bytes / unit->factor, unit->name);
}

std::expected<double, std::string> parse_decimal(std::string_view text) {
  const auto ten_thousandths = scale(text, 10'000);
  if (!ten_thousandths) return std::unexpected("is not a number");
  return static_cast<double>(*ten_thousandths) / 1e4;
}

std::expected<double, std::string> parse_percent(std::string_view text) {
  const auto [number, unit] = split(text);
  const auto millionths = scale(number, 10'000);
  if (!millionths || (!unit.empty() && unit != "%")) return std::unexpected("is not a percentage");
  if (unit.empty()) {
    const bool share = number.starts_with("0.");
    const std::uint64_t meant = share ? *millionths * 100 : *millionths;
    return std::unexpected(fmt::format(R"(has no percent sign: write "{}")", spell_percent(static_cast<double>(meant) / 1e6)));
  }
  return static_cast<double>(*millionths) / 1e6;
}

std::string spell_percent(double share) { return fmt::format("{}%", static_cast<double>(std::llround(share * 1e6)) / 1e4); }

std::expected<StatusRange, std::string> parse_statuses(std::string_view text, std::uint16_t min) {
  const std::size_t dash = text.find('-');
  const auto first = parse_unsigned<std::uint16_t>(text.substr(0, dash));
  const auto last = dash == std::string_view::npos ? first : parse_unsigned<std::uint16_t>(text.substr(dash + 1));
  const bool family = text.size() == 3 && text[0] >= '0' + min / 100 && text[0] <= '5' && equals_ignoring_case(text.substr(1), "xx");
  if (family) return std::unexpected(fmt::format(R"(is no number: write "{}00-{}99")", text[0], text[0]));
  if (!first || !last) return std::unexpected("is not a status code");
  if (std::min(*first, *last) < min || std::max(*first, *last) > 599) return std::unexpected(fmt::format("is not within {} to 599", min));
  if (*first > *last) return std::unexpected(fmt::format(R"(ends before it begins: write "{}-{}")", *last, *first));
  return StatusRange{*first, *last};
}

std::string spell_statuses(StatusRange range) {
  return range.first == range.last ? fmt::format("{}", range.first) : fmt::format("{}-{}", range.first, range.last);
}

std::expected<HostPort, std::string> parse_host(std::string_view text) {
  if (const auto ip = IpAddress::parse(text)) return HostPort{ip->to_string(), 0, true};
  if (text.empty()) return std::unexpected("has no host");
  if (text.find(':') != std::string_view::npos) return std::unexpected("is neither an IP address nor a name");
  std::string_view rest = text.ends_with('.') ? text.substr(0, text.size() - 1) : text;
  std::string_view last;
  if (text.size() > 253) return std::unexpected("is longer than a name may be, which is 253 characters");
  while (true) {
    last = rest.substr(0, rest.find('.'));
    // Underscores are no host name characters (RFC 1123 §2.1), but container networks are full of them.
    const bool valid =
        !last.empty() && last.size() <= 63 && last.front() != '-' && last.back() != '-' &&
        std::ranges::all_of(last, [](char c) { return is_digit(c) || (to_lower(c) >= 'a' && to_lower(c) <= 'z') || c == '-' || c == '_'; });
    if (!valid) return std::unexpected("is neither an IP address nor a name of letters, digits, '-' and '.'");
    if (last.size() == rest.size()) break;
    rest.remove_prefix(last.size() + 1);
  }
  if (std::ranges::all_of(last, is_digit)) return std::unexpected("looks like an IP address, but is none");
  return HostPort{to_lower(text), 0, false};
}

std::expected<HostPort, std::string> parse_host_port(std::string_view text) {
  if (const std::size_t scheme = text.find("://"); scheme != std::string_view::npos) {
    const std::string_view rest = text.substr(scheme + 3);
    const std::string_view authority = rest.substr(0, rest.find('/'));
    if (authority.find(':') != std::string_view::npos)
      return std::unexpected(fmt::format(R"(is a URL, allowed is host:port: write "{}")", authority));
    return std::unexpected(fmt::format(R"(is a URL, allowed is host:port: write "{}:80" or the port that is meant)", authority));
  }
  if (text.find('/') != std::string_view::npos) return std::unexpected("has a '/', allowed is host:port");
  const std::size_t colon = text.rfind(':');
  const bool bracketed = text.starts_with('[');
  if (!bracketed && std::ranges::count(text, ':') > 1) {
    if (IpAddress::parse(text)) return std::unexpected(fmt::format(R"(is an IPv6 address without a port: write "[{}]:8080")", text));
    return std::unexpected(R"(has more than one ':': write an IPv6 address in brackets, "[::1]:8080")");
  }
  if (!text.empty() && std::ranges::all_of(text, is_digit))
    return std::unexpected(fmt::format(R"(has no host: write "127.0.0.1:{}" or the host that is meant)", text));
  if (colon == std::string_view::npos || text.ends_with(']'))
    return std::unexpected(fmt::format(R"(has no port: write "{}:8080" or the port that is meant)", text));
  const auto port = parse_unsigned<std::uint16_t>(text.substr(colon + 1));
  if (!port || *port == 0 || (text[colon + 1] == '0')) {
    return std::unexpected(fmt::format("has the port {}, allowed is a number from 1 to 65535", text.substr(colon + 1)));
  }
  std::string_view host = text.substr(0, colon);
  if (host.empty()) return std::unexpected(fmt::format(R"(has no host: write "127.0.0.1:{}" or the host that is meant)", *port));
  if (bracketed) {
    if (!host.ends_with(']')) return std::unexpected(R"(has brackets that do not close: write "[::1]:8080")");
    host = host.substr(1, host.size() - 2);
    const auto ip = IpAddress::parse(host);
    if (!ip) return std::unexpected("has no IPv6 address in its brackets");
    return HostPort{ip->to_string(), *port, true};
  }
  auto parsed = parse_host(host);
  if (parsed) parsed->port = *port;
  return parsed;
}

std::string spell_host_port(std::string_view host, std::uint16_t port) {
  return host.find(':') == std::string_view::npos ? fmt::format("{}:{}", host, port) : fmt::format("[{}]:{}", host, port);
}

}  // namespace steelyard::config
