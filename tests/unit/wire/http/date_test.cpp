#include "wire/http/date.hpp"

#include <gtest/gtest.h>

namespace steelyard::http {
namespace date_test {

TEST(DateText, writes_the_example_of_the_rfc) {
  DateText date;
  EXPECT_EQ(date.at(784'111'777'000'000), "Sun, 06 Nov 1994 08:49:37 GMT");
}

TEST(DateText, writes_the_first_second_and_a_leap_day) {
  DateText date;
  EXPECT_EQ(date.at(0), "Thu, 01 Jan 1970 00:00:00 GMT");
  EXPECT_EQ(date.at(1'709'251'199'999'999), "Thu, 29 Feb 2024 23:59:59 GMT");
}

TEST(DateText, follows_the_time) {
  DateText date;
  EXPECT_EQ(date.at(1'000'000), date.at(1'999'999));
  EXPECT_EQ(date.at(2'000'000), "Thu, 01 Jan 1970 00:00:02 GMT");
}

}  // namespace date_test
}  // namespace steelyard::http
