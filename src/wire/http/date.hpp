// The value of a Date field (RFC 9110 §5.6.7), written once a second. Pure: the time is an argument.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace steelyard::http {

class DateText {
 public:
  // Valid until the next call. Years 1970 to 9999.
  std::string_view at(std::int64_t unix_us);

 private:
  std::int64_t second_ = -1;
  std::array<char, 29> text_{};
};

}  // namespace steelyard::http
