// A JSON object as it was received: its text and where its members lie in it. Only views; what they say has been validated by the
// scanner. Nothing here makes a tree of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace steelyard::json {

enum class Kind : std::uint8_t { string, number, object, array, boolean, null };

struct Span {
  std::size_t begin = 0;
  std::size_t end = 0;
  [[nodiscard]] std::string_view in(std::string_view text) const { return text.substr(begin, end - begin); }
  friend bool operator==(const Span&, const Span&) = default;
};

// Of the outermost object. Strings lie between their quotes, as they were sent (string_text.hpp takes the escapes off); other values lie
// from their first byte to their last.
struct Member {
  Span name;
  Span value;
  Kind kind = Kind::null;
};

struct Object {
  std::string_view text;            // from the first byte given to the scanner to the object's '}'
  std::span<const Member> members;  // in their order

  [[nodiscard]] std::string_view name(const Member& member) const { return member.name.in(text); }
  [[nodiscard]] std::string_view value(const Member& member) const { return member.value.in(text); }
  // The member of that name, which is given without escapes; nullptr where there is none.
  [[nodiscard]] const Member* find(std::string_view wanted) const;
};

}  // namespace steelyard::json
