#include "session/head_builder.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

namespace steelyard {
namespace head_builder_test {

TEST(HeadBuilder, writes_texts_numbers_and_fields_in_order) {
  char memory[100];
  HeadBuilder out(memory);
  out.text("HTTP/1.1 ").number(200).text(" OK\r\n").field("Host", "a").end();
  EXPECT_EQ(out.view(), "HTTP/1.1 200 OK\r\nHost: a\r\n\r\n");
  EXPECT_FALSE(out.overflowed());
}

TEST(HeadBuilder, numbers_of_every_size) {
  char memory[100];
  HeadBuilder out(memory);
  out.number(0).text(" ").number(UINT64_MAX);
  EXPECT_EQ(out.view(), "0 18446744073709551615");
}

TEST(HeadBuilder, never_writes_past_the_end_and_says_so) {
  const std::string whole = "Name: value\r\n\r\n";
  for (std::size_t size = 0; size <= whole.size(); ++size) {
    std::vector<char> memory(size);
    HeadBuilder out(memory);
    out.field("Name", "value").end();
    EXPECT_EQ(out.overflowed(), size < whole.size()) << size;
    EXPECT_LE(out.view().size(), size);
  }
}

TEST(HeadBuilder, an_overflow_stays_although_later_texts_fit) {
  char memory[4];
  HeadBuilder out(memory);
  out.text("12345").text("12");
  EXPECT_TRUE(out.overflowed());
}

}  // namespace head_builder_test
}  // namespace steelyard
