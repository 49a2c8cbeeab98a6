#include "wire/http/date.hpp"

#include <fmt/format.h>

#include <chrono>

namespace steelyard::http {

std::string_view DateText::at(std::int64_t unix_us) {
  const std::int64_t second = unix_us / 1'000'000;
  if (second == second_) return {text_.data(), text_.size()};
  second_ = second;
  constexpr const char* days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr const char* months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::chrono::sys_seconds time{std::chrono::seconds{second}};
  const auto midnight = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date{midnight};
  const std::chrono::hh_mm_ss clock{time - midnight};
  fmt::format_to_n(text_.data(), text_.size(), "{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT",
                   days[std::chrono::weekday{midnight}.c_encoding()], static_cast<unsigned>(date.day()),
                   months[static_cast<unsigned>(date.month()) - 1], static_cast<int>(date.year()), clock.hours().count(),
                   clock.minutes().count(), clock.seconds().count());
  return {text_.data(), text_.size()};
}

}  // namespace steelyard::http
