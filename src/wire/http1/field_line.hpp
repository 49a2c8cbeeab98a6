// One field line, of a header or a trailer section (RFC 9112 §5). Pure; the line comes without its end and without control
// characters.
#pragma once

#include <expected>
#include <string_view>

#include "base/ascii.hpp"
#include "wire/http/characters.hpp"
#include "wire/http/field_name.hpp"
#include "wire/http/message.hpp"

namespace steelyard::http1 {

// Why a byte that no line may contain is refused.
constexpr const char* describe_control(char c) {
  if (c == '\n') return "A line ends in LF without CR.";
  if (c == '\r') return "A CR is not followed by LF.";
  return "There is a control character.";
}

constexpr const char* describe_bad_name(std::string_view line) {
  if (line.starts_with(' ') || line.starts_with('\t')) return "A field line is folded.";  // obs-fold, RFC 9112 §5.2
  if (line.starts_with(':')) return "A field has no name.";
  if (line.find(':') == std::string_view::npos) return "A field line has no colon.";
  return "A field name is not a token.";  // also one with white space before the colon, RFC 9112 §5.1
}

inline std::expected<http::Field, http::ParseError> parse_field_line(std::string_view line) {
  const char* const end = line.data() + line.size();
  const auto [at, has_underscore] = http::take_token(line.data(), end);
  if (at == end || *at != ':' || at == line.data()) [[unlikely]] {
    return std::unexpected(http::ParseError{400, describe_bad_name(line)});
  }
  http::Field field;
  field.name = {line.data(), at};
  field.value = trim({at + 1, end});
  field.id = http::classify(field.name);
  field.hop_by_hop = has_underscore && http::is_alias_of_known(field.name);
  return field;
}

}  // namespace steelyard::http1
