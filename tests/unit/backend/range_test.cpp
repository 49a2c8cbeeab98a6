#include "backend/range.hpp"

#include <gtest/gtest.h>

namespace steelyard::backend {
namespace range_test {

constexpr std::optional<Range> ignored = std::nullopt;

TEST(Range, is_taken_from_its_first_byte_to_its_last) {
  EXPECT_EQ(parse_range("bytes=0-0", 10), (Range{0, 1}));
  EXPECT_EQ(parse_range("bytes=2-5", 10), (Range{2, 4}));
  EXPECT_EQ(parse_range("bytes=2-", 10), (Range{2, 8}));
  EXPECT_EQ(parse_range("bytes=2-99", 10), (Range{2, 8}));
  EXPECT_EQ(parse_range("Bytes=9-9", 10), (Range{9, 1}));
}

TEST(Range, may_count_from_the_end) {
  EXPECT_EQ(parse_range("bytes=-3", 10), (Range{7, 3}));
  EXPECT_EQ(parse_range("bytes=-99", 10), (Range{0, 10}));
}

TEST(Range, that_holds_nothing_is_told) {
  EXPECT_EQ(parse_range("bytes=10-", 10), Range{});
  EXPECT_EQ(parse_range("bytes=10-20", 10), Range{});
  EXPECT_EQ(parse_range("bytes=0-0", 0), Range{});
  EXPECT_EQ(parse_range("bytes=-0", 10)->count, 0U);
}

TEST(Range, of_another_form_is_ignored) {
  for (const char* text : {"", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=5-2", "bytes=1-2,4-5", "lines=1-2", "bytes=1", "bytes=1-x",
                           "bytes=99999999999999999999-", "bytes=--1", "bytes=1--2"}) {
    EXPECT_EQ(parse_range(text, 10), ignored) << text;
  }
}

}  // namespace range_test
}  // namespace steelyard::backend
