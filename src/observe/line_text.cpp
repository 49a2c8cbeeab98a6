#include "observe/line_text.hpp"

#include <algorithm>
#include <chrono>

namespace steelyard {

namespace {

constexpr std::string_view hex_digits = "0123456789abcdef";

// A character of UTF-8: its number and length; length 0 when the bytes are not well-formed (RFC 3629 §4: no overlong forms, no
// surrogates, nothing beyond U+10FFFF).
struct Character {
  std::uint32_t number = 0;
  std::size_t length = 0;
};

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xc0U) == 0x80U; }

Character first_character(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  if (lead < 0x80) return {lead, 1};
  const std::size_t length = lead >= 0xc2 && lead <= 0xdf ? 2U : (lead & 0xf0U) == 0xe0U ? 3U : lead >= 0xf0 && lead <= 0xf4 ? 4U : 0U;
  if (length == 0 || text.size() < length) return {};
  std::uint32_t number = lead & (0xffU >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if (!is_continuation(text[i])) return {};
    number = number << 6U | (static_cast<unsigned char>(text[i]) & 0x3fU);
  }
  if (length == 3 && (number < 0x800 || (number >= 0xd800 && number <= 0xdfff))) return {};
  if (length == 4 && (number < 0x10000 || number > 0x10ffff)) return {};
  return {number, length};
}

// Some read U+2028 and U+2029 as the end of a line; the others make a terminal show text in another order than it has.
bool is_harmless(std::uint32_t number) {
  return number >= 0xa0 && (number < 0x2028 || number > 0x202e) && (number < 0x2066 || number > 0x2069);
}

char* put_code(char* at, std::uint32_t number) {
  *at++ = '\\';
  *at++ = 'u';
  for (unsigned shift = 16; shift != 0;) {
    shift -= 4;
    *at++ = hex_digits[number >> shift & 0xfU];
  }
  return at;
}

// How many bytes at the start can be copied as they are: printable ASCII without quote and backslash. Eight at a time: a byte of
// `special` has its high bit set if that byte is special, or if a lower one is, which is enough to stop here.
std::size_t plain_length(std::string_view text) {
  constexpr std::uint64_t ones = 0x0101010101010101U;
  constexpr std::uint64_t highs = 0x8080808080808080U;
  const auto zeros = [](std::uint64_t v) { return (v - ones) & ~v & highs; };
  std::size_t i = 0;
  for (; i + 8 <= text.size(); i += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data() + i, 8);
    const std::uint64_t special = (word & highs) | ((word - ones * 0x20) & ~word & highs) | zeros(word ^ (ones * '"')) |
                                  zeros(word ^ (ones * '\\')) | zeros(word ^ (ones * 0x7f));
    if (special != 0) break;
  }
  while (i < text.size() && text[i] >= 0x20 && text[i] < 0x7f && text[i] != '"' && text[i] != '\\') ++i;
  return i;
}

char* put_escaped_ascii(char* at, char c) {
  switch (c) {
    case '"': return put(at, "\\\"");
    case '\\': return put(at, "\\\\");
    case '\n': return put(at, "\\n");
    case '\r': return put(at, "\\r");
    case '\t': return put(at, "\\t");
    default: return put_code(at, static_cast<unsigned char>(c));
  }
}

}  // namespace

char* put_escaped(char* at, std::string_view text, std::size_t bytes_max) {
  const bool cut = text.size() > bytes_max;
  if (cut) {
    // Not through the middle of a character, unless it is none.
    std::size_t end = bytes_max;
    while (end > 0 && bytes_max - end < 3 && is_continuation(text[end])) --end;
    text = text.substr(0, first_character(text.substr(end)).length != 0 ? end : bytes_max);
  }
  while (true) {
    const std::size_t plain = plain_length(text);
    at = put(at, text.substr(0, plain));
    text.remove_prefix(plain);
    if (text.empty()) break;
    const Character character = first_character(text);
    if (character.length == 0) {
      at = put_code(at, static_cast<unsigned char>(text[0]));
    } else if (character.length == 1) {
      at = put_escaped_ascii(at, text[0]);
    } else if (is_harmless(character.number)) {
      at = put(at, text.substr(0, character.length));
    } else {
      at = put_code(at, character.number);
    }
    text.remove_prefix(std::max<std::size_t>(character.length, 1));
  }
  return cut ? put(at, "…") : at;
}

char* put_milliseconds(char* at, Duration duration) {
  const auto us = static_cast<std::uint64_t>(std::max<std::int64_t>(duration.count(), 0)) / 1000;
  at = put_number(at, us / 1000);
  return put_fraction(at, static_cast<std::int64_t>(us % 1000 * 1000), 3);
}

char* put_date_and_time(char* at, std::int64_t unix_s, char separator) {
  constexpr std::int64_t first = -62'167'219'200;  // 0000-01-01
  constexpr std::int64_t last = 253'402'300'799;   // 9999-12-31
  const std::chrono::sys_seconds time{std::chrono::seconds{std::clamp(unix_s, first, last)}};
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date{day};
  const auto of_day = static_cast<unsigned>((time - day).count());
  const auto two = [&at](unsigned number, char after) {
    *at++ = static_cast<char>('0' + number / 10);
    *at++ = static_cast<char>('0' + number % 10);
    if (after != 0) *at++ = after;
  };
  const auto year = static_cast<unsigned>(static_cast<int>(date.year()));
  two(year / 100, 0);
  two(year % 100, '-');
  two(static_cast<unsigned>(date.month()), '-');
  two(static_cast<unsigned>(date.day()), separator);
  two(of_day / 3600, ':');
  two(of_day / 60 % 60, ':');
  two(of_day % 60, 0);
  return at;
}

char* put_fraction(char* at, std::int64_t unix_us, unsigned digits) {
  auto us = static_cast<std::uint64_t>((unix_us % 1'000'000 + 1'000'000) % 1'000'000);
  *at++ = '.';
  for (std::uint64_t unit = 100'000; digits > 0 && unit > 0; --digits, unit /= 10) {
    *at++ = static_cast<char>('0' + us / unit);
    us %= unit;
  }
  return at;
}

}  // namespace steelyard
