#include "wire/utf8.hpp"

namespace steelyard {

bool Utf8Check::feed(std::string_view bytes) {
  for (const char c : bytes) {
    const auto byte = static_cast<std::uint8_t>(c);
    if (missing_ == 0) {
      if (byte >= 0x80 && !begin_character(byte)) valid_ = false;
    } else if (byte < lowest_ || byte > highest_) {
      valid_ = false;
    } else {
      --missing_;
      lowest_ = 0x80;
      highest_ = 0xbf;
    }
    if (!valid_) return false;
  }
  return valid_;
}

// The table of RFC 3629 §4.
bool Utf8Check::begin_character(std::uint8_t byte) {
  lowest_ = 0x80;
  highest_ = 0xbf;
  if (byte >= 0xc2 && byte <= 0xdf) {
    missing_ = 1;
  } else if (byte >= 0xe0 && byte <= 0xef) {
    missing_ = 2;
    if (byte == 0xe0) lowest_ = 0xa0;
    if (byte == 0xed) highest_ = 0x9f;
  } else if (byte >= 0xf0 && byte <= 0xf4) {
    missing_ = 3;
    if (byte == 0xf0) lowest_ = 0x90;
    if (byte == 0xf4) highest_ = 0x8f;
  } else {
    return false;
  }
  return true;
}

}  // namespace steelyard
