// Which part of a body is asked for (RFC 9110 §14.2). One range of bytes; whoever asks for several at once gets all of it, as a server
// may. Pure.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/ascii.hpp"

namespace steelyard::backend {

struct Range {
  std::uint64_t first = 0;
  std::uint64_t count = 0;  // 0: there is nothing of it
  friend bool operator==(const Range&, const Range&) = default;
};

// The part of `size` bytes that the field's value asks for; nothing where it is to be ignored.
constexpr std::optional<Range> parse_range(std::string_view text, std::uint64_t size) {
  constexpr std::string_view unit = "bytes=";
  if (text.size() < unit.size() || !equals_ignoring_case(text.substr(0, unit.size()), unit)) return std::nullopt;
  text = trim(text.substr(unit.size()));
  const std::size_t dash = text.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const auto first = parse_unsigned<std::uint64_t>(text.substr(0, dash));
  const auto last = parse_unsigned<std::uint64_t>(text.substr(dash + 1));
  if (dash == 0) {  // so many at the end
    if (!last) return std::nullopt;
    const std::uint64_t count = std::min(*last, size);
    return Range{size - count, count};
  }
  if (!first || (!last && dash + 1 != text.size()) || (last && *last < *first)) return std::nullopt;
  if (*first >= size) return Range{};
  return Range{*first, std::min(last.value_or(size - 1), size - 1) - *first + 1};
}

}  // namespace steelyard::backend
