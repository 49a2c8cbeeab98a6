// As much HTTP/1.1 as a benchmark needs: the end of a head, its Content-Length and whether it says close. It trusts its input,
// which is our own load generator, our own backend and the proxies under test; it is no parser to learn from.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/ascii.hpp"

namespace steelyard::bench {

// How many bytes the head takes with its empty line, or nothing while that has not come.
inline std::optional<std::size_t> length_of_head(std::string_view bytes) {
  const std::size_t at = bytes.find("\r\n\r\n");
  if (at == std::string_view::npos) return std::nullopt;
  return at + 4;
}

// The value of the first header field of that name, which is given in lower case with its colon.
inline std::optional<std::string_view> field_of(std::string_view head, std::string_view name) {
  for (std::size_t line = head.find('\n'); line != std::string_view::npos; line = head.find('\n', line + 1)) {
    const std::string_view rest = head.substr(line + 1);
    // One comparison rules out nearly every line.
    if (rest.size() < name.size() || to_lower(rest.front()) != name.front()) continue;
    if (!equals_ignoring_case(rest.substr(0, name.size()), name)) continue;
    return trim(rest.substr(name.size(), rest.find('\r') - name.size()));
  }
  return std::nullopt;
}

inline std::optional<std::uint64_t> content_length_of(std::string_view head) {
  const auto value = field_of(head, "content-length:");
  return value ? parse_unsigned<std::uint64_t>(*value) : std::nullopt;
}

inline bool says_close(std::string_view head) {
  const auto value = field_of(head, "connection:");
  return value && equals_ignoring_case(*value, "close");
}

}  // namespace steelyard::bench
