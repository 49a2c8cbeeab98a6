// Segment by segment into `out`: decode, judge, then keep the segment or step back. Nearly all paths need none of it and leave
// after one look at each byte.
#include "wire/http/path.hpp"

#include <algorithm>

#include "base/assert.hpp"
#include "wire/http/characters.hpp"

namespace steelyard::http {

namespace {

std::unexpected<ParseError> refuse(const char* reason) { return std::unexpected(ParseError{400, reason}); }

enum class Segment { ordinary, empty, dot, dot_dot };

bool is_plain(std::string_view path);
std::expected<std::size_t, ParseError> decode_segment(std::string_view segment, char* out);
std::expected<Segment, ParseError> judge_segment(std::string_view segment);

}  // namespace

std::expected<std::string_view, ParseError> normalize_path(std::string_view path, std::span<char> out) {
  if (path == "*") return path;
  if (!path.starts_with('/')) return refuse("The path does not begin with a slash.");
  if (is_plain(path)) return path;
  SY_ASSERT(out.size() >= path.size());
  out[0] = '/';
  std::size_t end = 1;  // what is kept; always just behind a slash here
  for (std::string_view rest = path.substr(1);;) {
    const std::size_t slash = rest.find('/');
    const auto decoded = decode_segment(rest.substr(0, slash), out.data() + end);
    if (!decoded) return std::unexpected(decoded.error());
    const auto kind = judge_segment({out.data() + end, *decoded});
    if (!kind) return std::unexpected(kind.error());
    if (*kind == Segment::ordinary) {
      end += *decoded;
    } else if (*kind == Segment::dot_dot && end > 1) {
      end = std::string_view(out.data(), end - 1).rfind('/') + 1;
    }
    if (slash == std::string_view::npos) break;
    if (*kind == Segment::ordinary) out[end++] = '/';
    rest.remove_prefix(slash + 1);
  }
  const std::string_view normal{out.data(), end};
  return normal == path ? path : normal;
}

namespace {

// True where every byte is its own normal form and no two of them make something else. A false no costs time only.
bool is_plain(std::string_view path) {
  char previous = '\0';
  for (const char c : path) {
    if (!is(c, path_char) || c == '%' || c == ';') return false;
    if (previous == '/' && (c == '/' || c == '.')) return false;
    previous = c;
  }
  return true;
}

// UTF-8 that says in two or more bytes what fits in fewer (RFC 3629 §3). A lone 0xC0 may be Latin-1 and passes.
bool is_overlong(unsigned first, unsigned second) {
  if (second < 0x80 || second > 0xbf) return false;
  return first == 0xc0 || first == 0xc1 || (first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90);
}

// Returns the bytes written; never more than `segment` has. `out` may not overlap it.
std::expected<std::size_t, ParseError> decode_segment(std::string_view segment, char* out) {
  constexpr std::uint8_t unreserved = host_char;  // the same set (RFC 3986 §2.3)
  constexpr std::string_view upper_digits = "0123456789ABCDEF";
  char* at = out;
  unsigned previous = 0;  // the encoded byte just before, else 0
  for (std::size_t i = 0; i < segment.size(); ++i) {
    const char c = segment[i];
    if (!is(c, path_char)) return refuse("The path has a character that must be percent-encoded.");
    if (c != '%') {
      *at++ = c;
      previous = 0;
      continue;
    }
    const int high = i + 2 < segment.size() ? hex_value(segment[i + 1]) : -1;
    const int low = i + 2 < segment.size() ? hex_value(segment[i + 2]) : -1;
    if (high < 0 || low < 0) return refuse("The path has an invalid percent-encoding.");
    const unsigned byte = static_cast<unsigned>(high) << 4U | static_cast<unsigned>(low);
    if (byte == 0 || byte == '\\') return refuse("The path has an encoded NUL or backslash.");
    if (is_overlong(previous, byte)) return refuse("The path has overlong UTF-8.");
    if (is(static_cast<char>(byte), unreserved)) {
      *at++ = static_cast<char>(byte);
    } else {
      *at++ = '%';
      *at++ = upper_digits[byte >> 4U];
      *at++ = upper_digits[byte & 15U];
    }
    previous = byte;
    i += 2;
  }
  return static_cast<std::size_t>(at - out);
}

// What a segment, or a part of one between encoded slashes, is without its parameters.
Segment kind_of(std::string_view part) {
  const std::string_view name = part.substr(0, std::min(part.find(';'), part.find("%3B")));
  if (name.empty()) return Segment::empty;
  if (name == ".") return Segment::dot;
  return name == ".." ? Segment::dot_dot : Segment::ordinary;
}

// `segment` is decoded. Only a whole segment may be special; one that becomes special once something is stripped or decoded
// further is refused.
std::expected<Segment, ParseError> judge_segment(std::string_view segment) {
  if (segment.empty()) return Segment::empty;
  if (segment == ".") return Segment::dot;
  if (segment == "..") return Segment::dot_dot;
  for (std::string_view rest = segment;;) {
    const std::size_t encoded_slash = rest.find("%2F");
    if (kind_of(rest.substr(0, encoded_slash)) != Segment::ordinary) return refuse("The path can be read in two ways.");
    if (encoded_slash == std::string_view::npos) return Segment::ordinary;
    rest.remove_prefix(encoded_slash + 3);
  }
}

}  // namespace

}  // namespace steelyard::http
