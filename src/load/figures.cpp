#include "load/figures.hpp"

#include <fmt/format.h>

#include <array>
#include <string_view>

namespace steelyard::load {
namespace {

// Three digits: 1.23, 12.3, 123.
std::string three_digits(double value) {
  const int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  return fmt::format("{:.{}f}", value, decimals);
}

}  // namespace

std::string spell_time(Duration duration) {
  const auto ns = static_cast<double>(duration.count());
  if (ns < 999.5) return fmt::format("{} ns", duration.count());
  if (ns < 999.5e3) return three_digits(ns / 1e3) + " µs";
  if (ns < 999.5e6) return three_digits(ns / 1e6) + " ms";
  return three_digits(ns / 1e9) + " s";
}

std::string spell_count(std::uint64_t count) {
  std::string text = std::to_string(count);
  for (std::size_t at = text.size(); at > 3;) text.insert(at -= 3, 1, ',');
  return text;
}

std::string spell_bytes(double bytes) {
  constexpr std::array<std::string_view, 5> units{"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  for (; bytes >= 999.5 && unit + 1 < units.size(); ++unit) bytes /= 1024;
  return unit == 0 ? fmt::format("{:.0f} B", bytes) : fmt::format("{} {}", three_digits(bytes), units[unit]);
}

std::string spell_share(std::uint64_t part, std::uint64_t total) {
  return fmt::format("{:.2f} %", total == 0 ? 0.0 : 100.0 * static_cast<double>(part) / static_cast<double>(total));
}

}  // namespace steelyard::load
