#include "wire/json/canonical.hpp"

#include "base/assert.hpp"
#include "wire/json/string_text.hpp"

namespace steelyard::json {
namespace {

void write_unit(char32_t unit, std::string& out) {
  out.append("\\u");
  for (const unsigned shift : {12U, 8U, 4U, 0U}) out.push_back("0123456789abcdef"[unit >> shift & 0xfU]);
}

void write_character(char32_t character, std::string& out) {
  switch (character) {
    case '"': out.append("\\\""); return;
    case '\\': out.append("\\\\"); return;
    case '\b': out.append("\\b"); return;
    case '\f': out.append("\\f"); return;
    case '\n': out.append("\\n"); return;
    case '\r': out.append("\\r"); return;
    case '\t': out.append("\\t"); return;
    default: break;
  }
  if (character >= ' ' && character <= '~') {
    out.push_back(static_cast<char>(character));
  } else if (character < 0x10000) {
    write_unit(character, out);
  } else {
    write_unit(0xd800 + ((character - 0x10000) >> 10U), out);
    write_unit(0xdc00 + ((character - 0x10000) & 0x3ffU), out);
  }
}

// The bytes between the quotes of the string at the front of `text`.
std::string_view string_at_front(std::string_view text) {
  std::size_t end = 1;
  while (text[end] != '"') end += text[end] == '\\' ? 2 : 1;
  return text.substr(1, end - 1);
}

void write_characters(std::string_view raw, std::string& out) {
  for (Characters characters(raw); !characters.empty();) write_character(characters.next(), out);
}

}  // namespace

void write_string(std::string_view text, std::string& out) {
  out.push_back('"');
  for (std::size_t at = 0; (at = text.find('\\')) != std::string_view::npos; text.remove_prefix(at + 1)) {
    write_characters(text.substr(0, at), out);
    write_character('\\', out);
  }
  write_characters(text, out);
  out.push_back('"');
}

void write_canonical(std::string_view object, std::string& out) {
  const std::size_t before = out.size();
  std::string_view rest = object;
  while (!rest.empty()) {
    const char c = rest.front();
    if (c == '"') {
      const std::string_view raw = string_at_front(rest);
      out.push_back('"');
      write_characters(raw, out);
      out.push_back('"');
      rest.remove_prefix(raw.size() + 2);
      continue;
    }
    rest.remove_prefix(1);
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r') continue;
    out.push_back(c);
    if (c == ',' || c == ':') out.push_back(' ');
  }
  SY_ASSERT(out.size() - before <= canonical_growth_max * object.size());
}

}  // namespace steelyard::json
