// Which bytes may stand where (RFC 9110 §5.5, §5.6.2; RFC 3986): one table of 256 flags. Constants only.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#if defined(__SSSE3__)
#include <tmmintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace steelyard::http {

enum CharClass : std::uint8_t {
  token_char = 1,   // of methods, field names, options
  path_char = 2,    // of a path, '%' and '/' included
  query_char = 4,   // of a query
  host_char = 8,    // of a registered name in an authority
  value_char = 16,  // of a field value: everything but control characters other than HTAB
};

namespace detail {
consteval std::array<std::uint8_t, 256> char_classes() {
  std::array<std::uint8_t, 256> classes{};
  const auto add = [&](std::string_view characters, std::uint8_t flags) {
    for (const char c : characters) classes[static_cast<unsigned char>(c)] |= flags;
  };
  for (unsigned c = 0x20; c < 256; ++c) {
    if (c != 0x7f) classes[c] |= value_char;
  }
  classes['\t'] |= value_char;
  const std::string_view alphanumeric = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
  add(alphanumeric, token_char | path_char | query_char | host_char);
  add("!#$%&'*+-.^_`|~", token_char);
  add("-._~!$&'()*+,;=:@/%", path_char | query_char);
  add("?", query_char);
  // What browsers send although RFC 3986 wants it encoded (the URL Standard leaves it as it is). No reader takes these for a
  // delimiter. '\' is a separator to some servers and therefore has no place in a path; '"', '<', '>' and '#' nobody sends.
  add("[]|^", path_char);
  add("[]|^{}`\\", query_char);
  // RFC 3986 allows sub-delims and percent-encoding in names too. No host has such a name; two readers may see two hosts in it.
  add("-._~", host_char);
  return classes;
}
}  // namespace detail

inline constexpr std::array<std::uint8_t, 256> char_classes = detail::char_classes();

constexpr bool is(char c, std::uint8_t flags) { return (char_classes[static_cast<unsigned char>(c)] & flags) != 0; }

constexpr bool all_of(std::string_view text, std::uint8_t flags) {
  for (const char c : text) {
    if (!is(c, flags)) return false;
  }
  return true;
}

constexpr bool is_token(std::string_view text) { return !text.empty() && all_of(text, token_char); }

// The value of a hexadecimal digit, or -1.
constexpr int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// The first byte of [at, end) that may not stand in a field value, or `end`. Lines end at such a byte, so this finds the end
// of a line and validates it at once.
inline const char* find_control(const char* at, const char* end) {
#if defined(__SSE2__)
  const __m128i highest_control = _mm_set1_epi8(0x1f);
  const __m128i tab = _mm_set1_epi8('\t');
  const __m128i del = _mm_set1_epi8(0x7f);
  for (; end - at >= 16; at += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    const __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(bytes, highest_control), bytes);
    const __m128i control = _mm_or_si128(_mm_andnot_si128(_mm_cmpeq_epi8(bytes, tab), low), _mm_cmpeq_epi8(bytes, del));
    const auto mask = static_cast<unsigned>(_mm_movemask_epi8(control));
    if (mask != 0) return at + __builtin_ctz(mask);
  }
#endif
  while (at != end && is(*at, value_char)) ++at;
  return at;
}

struct TokenRun {
  const char* end;
  bool has_underscore;
};

#if defined(__SSSE3__)
namespace detail {
// A byte is a token character if the bit of its high nibble is set in the entry of its low nibble.
consteval std::array<std::uint8_t, 16> token_rows() {
  std::array<std::uint8_t, 16> rows{};
  for (unsigned c = 0; c < 128; ++c) {
    if ((char_classes()[c] & token_char) != 0) rows[c & 0xf] |= static_cast<std::uint8_t>(1U << (c >> 4));
  }
  return rows;
}
alignas(16) inline constexpr std::array<std::uint8_t, 16> token_rows_of_low = token_rows();
alignas(16) inline constexpr std::array<std::uint8_t, 16> bit_of_high = {1, 2, 4, 8, 16, 32, 64, 128, 0, 0, 0, 0, 0, 0, 0, 0};
}  // namespace detail
#endif

// The token characters at the front of [at, end).
inline TokenRun take_token(const char* at, const char* end) {
  bool underscore = false;
#if defined(__SSSE3__)
  const __m128i rows = _mm_load_si128(reinterpret_cast<const __m128i*>(detail::token_rows_of_low.data()));
  const __m128i bits = _mm_load_si128(reinterpret_cast<const __m128i*>(detail::bit_of_high.data()));
  const __m128i nibble = _mm_set1_epi8(0x0f);
  for (; end - at >= 16; at += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    const __m128i row = _mm_shuffle_epi8(rows, _mm_and_si128(bytes, nibble));
    const __m128i bit = _mm_shuffle_epi8(bits, _mm_and_si128(_mm_srli_epi16(bytes, 4), nibble));
    const auto other = static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_and_si128(row, bit), _mm_setzero_si128())));
    const auto lines = static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('_'))));
    if (other != 0) return {at + __builtin_ctz(other), underscore || (lines & (other ^ (other - 1))) != 0};
    underscore |= lines != 0;
  }
#endif
  for (; at != end && is(*at, token_char); ++at) underscore |= *at == '_';
  return {at, underscore};
}

}  // namespace steelyard::http
