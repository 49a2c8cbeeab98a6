#include "wire/http/segment.hpp"

#include <gtest/gtest.h>

namespace steelyard::http {
namespace segment_test {

TEST(Segment, leaves_unreserved_characters) { EXPECT_EQ(encode_segment("aZ09-._~"), "aZ09-._~"); }

TEST(Segment, encodes_what_could_end_a_segment_or_a_path) { EXPECT_EQ(encode_segment("a/b?c#d%e"), "a%2Fb%3Fc%23d%25e"); }

TEST(Segment, encodes_addresses_and_bytes_beyond_ascii) {
  EXPECT_EQ(encode_segment("[::1]:80"), "%5B%3A%3A1%5D%3A80");
  EXPECT_EQ(encode_segment("\xc3\xa9"), "%C3%A9");
}

}  // namespace segment_test
}  // namespace steelyard::http
