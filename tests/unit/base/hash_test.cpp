#include "base/hash.hpp"

#include <gtest/gtest.h>

#include <array>
#include <set>
#include <string>

namespace steelyard {
namespace hash_test {

TEST(KeyedHash, depends_on_the_seed_and_on_nothing_else) {
  EXPECT_EQ(KeyedHash(1)("example.com"), KeyedHash(1)("example.com"));
  EXPECT_NE(KeyedHash(1)("example.com"), KeyedHash(2)("example.com"));
}

TEST(KeyedHash, tells_lengths_and_every_bit_apart) {
  std::set<std::uint64_t> seen;
  const KeyedHash hash(7);
  std::size_t count = 0;
  for (std::size_t length = 0; length < 40; ++length) {
    std::string text(length, '\0');
    seen.insert(hash(text));
    ++count;
    for (std::size_t bit = 0; bit < length * 8; ++bit) {
      text[bit / 8] = static_cast<char>(1U << (bit % 8));
      seen.insert(hash(text));
      text[bit / 8] = '\0';
      ++count;
    }
  }
  EXPECT_EQ(seen.size(), count);
}

TEST(KeyedHash, spreads_over_low_bits) {
  const KeyedHash hash(3);
  std::array<unsigned, 16> buckets{};
  for (int i = 0; i < 16'000; ++i) ++buckets[hash("/path/" + std::to_string(i)) % 16];
  for (const unsigned bucket : buckets) {
    EXPECT_GT(bucket, 850U);
    EXPECT_LT(bucket, 1150U);
  }
}

}  // namespace hash_test
}  // namespace steelyard
