// What the bodies of /bytes/N are made of. The byte at position i is digit i % 61 of a row of digits and letters: 61 is prime, so that a
// body that lost or doubled a piece of the usual sizes does not look whole.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>

namespace steelyard::backend {

inline constexpr std::string_view pattern_row = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxy";
static_assert(pattern_row.size() == 61);
inline constexpr std::size_t pattern_bytes = pattern_row.size() * 4096;
inline constexpr std::size_t pattern_front_bytes = 1024;  // room for a head before it

inline std::unique_ptr<char[]> make_pattern() {
  auto memory = std::make_unique_for_overwrite<char[]>(pattern_front_bytes + pattern_bytes);
  for (std::size_t at = 0; at < pattern_bytes; at += pattern_row.size()) {
    std::memcpy(memory.get() + pattern_front_bytes + at, pattern_row.data(), pattern_row.size());
  }
  return memory;
}

}  // namespace steelyard::backend
