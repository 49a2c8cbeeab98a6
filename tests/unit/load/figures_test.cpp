#include "load/figures.hpp"

#include <gtest/gtest.h>

namespace steelyard::load {
namespace figures_test {

TEST(Figures, times_have_three_digits_and_a_unit) {
  EXPECT_EQ(spell_time(0ns), "0 ns");
  EXPECT_EQ(spell_time(999ns), "999 ns");
  EXPECT_EQ(spell_time(1234ns), "1.23 µs");
  EXPECT_EQ(spell_time(99'960ns), "100 µs");
  EXPECT_EQ(spell_time(999'600ns), "1.00 ms");
  EXPECT_EQ(spell_time(12'345us), "12.3 ms");
  EXPECT_EQ(spell_time(30s), "30.0 s");
  EXPECT_EQ(spell_time(1h), "3600 s");
}

TEST(Figures, counts_have_groups_of_three) {
  EXPECT_EQ(spell_count(0), "0");
  EXPECT_EQ(spell_count(999), "999");
  EXPECT_EQ(spell_count(1000), "1,000");
  EXPECT_EQ(spell_count(1'234'567), "1,234,567");
}

TEST(Figures, bytes_have_binary_units) {
  EXPECT_EQ(spell_bytes(0), "0 B");
  EXPECT_EQ(spell_bytes(999), "999 B");
  EXPECT_EQ(spell_bytes(1536), "1.50 KiB");
  EXPECT_EQ(spell_bytes(5.0 * 1024 * 1024 * 1024), "5.00 GiB");
}

TEST(Figures, shares_of_nothing_are_nothing) {
  EXPECT_EQ(spell_share(1, 3), "33.33 %");
  EXPECT_EQ(spell_share(0, 0), "0.00 %");
}

}  // namespace figures_test
}  // namespace steelyard::load
