// The pieces that log lines are made of: texts made harmless, numbers, times. Everything writes at a pointer and returns the new end; the
// caller has made sure of the room. Pure.
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "base/time.hpp"

namespace steelyard {

// An escaped text takes at most so many bytes for each of its own…
inline constexpr std::size_t escape_factor = 6;
// … and so many more when it was cut.
inline constexpr std::size_t cut_mark_bytes = 3;

inline char* put(char* at, std::string_view text) {
  text.copy(at, text.size());
  return at + text.size();
}
inline char* put_number(char* at, std::uint64_t number) { return std::to_chars(at, at + 20, number).ptr; }

// The text as the inside of a JSON string, which is also how people are shown it: quotes, backslashes, control characters (C0, DEL,
// C1), line and paragraph separators and the characters that turn the direction of text are escaped; a byte that is not UTF-8 is
// written as the character of its number, as if it were Latin-1. What is longer than `bytes_max` is cut and ends in "…".
char* put_escaped(char* at, std::string_view text, std::size_t bytes_max);

// Milliseconds with three decimals.
char* put_milliseconds(char* at, Duration duration);

// "2026-11-21T03:17:09" with the separator given; 19 bytes, years 0 to 9999.
char* put_date_and_time(char* at, std::int64_t unix_s, char separator);
// ".123456" from the part of a second.
char* put_fraction(char* at, std::int64_t unix_us, unsigned digits);

// Spaces until the text that began at `start` is `width` bytes long.
inline char* pad(char* at, const char* start, std::size_t width) {
  while (static_cast<std::size_t>(at - start) < width) *at++ = ' ';
  return at;
}

}  // namespace steelyard
