#include "wire/json/string_text.hpp"

#include "wire/http/characters.hpp"
#include "wire/json/object.hpp"

namespace steelyard::json {
namespace {

constexpr bool is_high_surrogate(char32_t unit) { return unit >= 0xd800 && unit <= 0xdbff; }

bool has_escape(std::string_view raw) { return raw.find('\\') != std::string_view::npos; }

}  // namespace

char32_t Characters::next() {
  const auto first = static_cast<unsigned char>(rest_.front());
  if (first == '\\') return next_escaped();
  rest_.remove_prefix(1);
  if (first < 0x80) return first;
  const std::size_t following = first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
  if (rest_.size() < following) [[unlikely]] {  // no UTF-8, which was asked for
    rest_ = {};
    return 0xfffd;
  }
  char32_t character = first & (0x3fU >> following);
  for (std::size_t i = 0; i < following; ++i) character = character << 6U | (static_cast<unsigned char>(rest_[i]) & 0x3fU);
  rest_.remove_prefix(following);
  return character;
}

char32_t Characters::next_escaped() {
  const char letter = rest_[1];
  rest_.remove_prefix(2);
  switch (letter) {
    case 'b': return '\b';
    case 'f': return '\f';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'u': break;
    default: return static_cast<unsigned char>(letter);
  }
  const char32_t unit = take_hex();
  if (!is_high_surrogate(unit)) return unit;
  rest_.remove_prefix(2);
  const char32_t low = take_hex();
  return 0x10000 + ((unit - 0xd800) << 10U) + (low - 0xdc00);
}

char32_t Characters::take_hex() {
  char32_t unit = 0;
  for (int i = 0; i < 4; ++i) unit = unit << 4U | static_cast<char32_t>(http::hex_value(rest_[i]));
  rest_.remove_prefix(4);
  return unit;
}

void append_utf8(char32_t character, std::string& out) {
  const auto add = [&out](char32_t byte) { out.push_back(static_cast<char>(byte)); };
  const auto add_following = [&](unsigned shift) { add(0x80 | (character >> shift & 0x3f)); };
  if (character < 0x80) {
    add(character);
  } else if (character < 0x800) {
    add(0xc0 | character >> 6U);
    add_following(0);
  } else if (character < 0x10000) {
    add(0xe0 | character >> 12U);
    add_following(6);
    add_following(0);
  } else {
    add(0xf0 | character >> 18U);
    add_following(12);
    add_following(6);
    add_following(0);
  }
}

void unescape(std::string_view raw, std::string& out) {
  // Most have no escape, or few.
  for (std::size_t at = 0; (at = raw.find('\\')) != std::string_view::npos;) {
    out.append(raw.substr(0, at));
    Characters characters(raw.substr(at));
    append_utf8(characters.next(), out);
    raw = characters.rest();
  }
  out.append(raw);
}

bool same_text(std::string_view raw, std::string_view other_raw) {
  if (raw == other_raw) return true;
  if (!has_escape(raw) && !has_escape(other_raw)) return false;
  Characters characters(raw);
  Characters others(other_raw);
  while (!characters.empty() && !others.empty()) {
    if (characters.next() != others.next()) return false;
  }
  return characters.empty() && others.empty();
}

bool says(std::string_view raw, std::string_view text) {
  if (!has_escape(raw)) return raw == text;
  std::string unescaped;
  unescape(raw, unescaped);
  return unescaped == text;
}

const Member* Object::find(std::string_view wanted) const {
  for (const Member& member : members) {
    if (says(name(member), wanted)) return &member;
  }
  return nullptr;
}

}  // namespace steelyard::json
