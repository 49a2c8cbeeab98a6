// Whether bytes are UTF-8 (RFC 3629), in pieces that may end inside a character. Pure.
#pragma once

#include <cstdint>
#include <string_view>

namespace steelyard {

class Utf8Check {
 public:
  // False once something cannot be UTF-8 whatever follows; then for good.
  bool feed(std::string_view bytes);
  // Whether what was fed so far ends with a whole character.
  [[nodiscard]] bool complete() const { return valid_ && missing_ == 0; }

 private:
  bool begin_character(std::uint8_t byte);

  bool valid_ = true;
  std::uint8_t missing_ = 0;     // continuation bytes of the character under way
  std::uint8_t lowest_ = 0x80;   // what the next one may be: overlong forms and surrogates
  std::uint8_t highest_ = 0xbf;  // differ from others in the second byte only
};

inline bool is_utf8(std::string_view text) {
  Utf8Check check;
  check.feed(text);
  return check.complete();
}

}  // namespace steelyard
