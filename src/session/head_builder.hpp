// Writes a message head into memory that it is given. It never writes past the end: what does not fit sets overflowed(), and
// the caller refuses the message. Names and values come from parsed heads or from the configuration, so they need no escaping.
#pragma once

#include <cstring>
#include <span>
#include <string_view>

#include <fmt/format.h>

namespace steelyard {

class HeadBuilder {
 public:
  explicit HeadBuilder(std::span<char> memory) : begin_(memory.data()), at_(begin_), end_(begin_ + memory.size()) {}

  HeadBuilder& text(std::string_view text) {
    if (static_cast<std::size_t>(end_ - at_) < text.size()) [[unlikely]] {
      overflowed_ = true;
      return *this;
    }
    std::memcpy(at_, text.data(), text.size());
    at_ += text.size();
    return *this;
  }
  HeadBuilder& number(std::uint64_t value) {
    const fmt::format_int digits(value);
    return text({digits.data(), digits.size()});
  }
  HeadBuilder& field(std::string_view name, std::string_view value) { return text(name).text(": ").text(value).text("\r\n"); }
  HeadBuilder& end() { return text("\r\n"); }

  [[nodiscard]] std::string_view view() const { return {begin_, static_cast<std::size_t>(at_ - begin_)}; }
  [[nodiscard]] bool overflowed() const { return overflowed_; }

 private:
  char* begin_;
  char* at_;
  char* end_;
  bool overflowed_ = false;
};

}  // namespace steelyard
