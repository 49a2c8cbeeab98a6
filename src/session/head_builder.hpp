// Writes a message head into memory that it is given. It never writes past the end: what does not fit sets overflowed(), and
// the caller refuses the message. Names and values come from parsed heads or from the configuration, so they need no escaping.
#pragma once

#include <fmt/format.h>

#include <cstring>
#include <span>
#include <string_view>

namespace steelyard {

class HeadBuilder {
 public:
  explicit HeadBuilder(std::span<char> memory) : begin_(memory.data()), at_(begin_), end_(begin_ + memory.size()) {}

  HeadBuilder& text(std::string_view text) {
    if (static_cast<std::size_t>(end_ - at_) < text.size()) [[unlikely]] {
      overflowed_ = true;
      return *this;
    }
    put(text);
    return *this;
  }
  HeadBuilder& number(std::uint64_t value) {
    const fmt::format_int digits(value);
    return text({digits.data(), digits.size()});
  }
  HeadBuilder& field(std::string_view name, std::string_view value) {
    if (static_cast<std::size_t>(end_ - at_) < name.size() + value.size() + 4) [[unlikely]] {
      overflowed_ = true;
      return *this;
    }
    put(name);
    std::memcpy(at_, ": ", 2);
    at_ += 2;
    put(value);
    std::memcpy(at_, "\r\n", 2);
    at_ += 2;
    return *this;
  }
  HeadBuilder& end() { return text("\r\n"); }

  [[nodiscard]] std::string_view view() const { return {begin_, static_cast<std::size_t>(at_ - begin_)}; }
  [[nodiscard]] bool overflowed() const { return overflowed_; }

 private:
  // Names and values are short: two overlapping moves of a fixed size beat a call.
  void put(std::string_view text) {
    const char* const from = text.data();
    const std::size_t size = text.size();
    if (size >= 8 && size <= 16) {
      std::memcpy(at_, from, 8);
      std::memcpy(at_ + size - 8, from + size - 8, 8);
    } else if (size > 16 && size <= 32) {
      std::memcpy(at_, from, 16);
      std::memcpy(at_ + size - 16, from + size - 16, 16);
    } else if (size >= 4 && size < 8) {
      std::memcpy(at_, from, 4);
      std::memcpy(at_ + size - 4, from + size - 4, 4);
    } else if (size != 0) {
      std::memcpy(at_, from, size);
    }
    at_ += size;
  }

  char* begin_;
  char* at_;
  char* end_;
  bool overflowed_ = false;
};

}  // namespace steelyard
