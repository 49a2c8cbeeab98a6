#include "app/table.hpp"

#include <gtest/gtest.h>

namespace steelyard {
namespace table_test {

TEST(Table, columns_line_up_and_lines_have_no_blanks_at_their_end) {
  Table table({{"NAME"}, {"COUNT", Table::Align::right}, {"NOTE"}});
  table.add({{"a"}, {"7"}, {"x"}});
  table.add({{"longer"}, {"123456"}, {""}}, "why");
  EXPECT_EQ(table.text(false),
            "NAME     COUNT  NOTE\n"
            "a            7  x\n"
            "longer  123456\n"
            "    why\n");
}

TEST(Table, leaves_out_a_column_without_text) {
  Table table({{"A"}, {"EMPTY"}, {"B"}});
  table.add({{"1"}, {""}, {"2"}});
  EXPECT_EQ(table.text(false), "A  B\n1  2\n");
}

TEST(Table, colours_do_not_move_columns) {
  Table table({{"A"}, {"B"}});
  table.add({{"x", Tone::bad}, {"1"}});
  table.add({{"yyy", Tone::good}, {"2"}});
  std::string text = table.text(true);
  EXPECT_NE(text.find("\x1b[31mx\x1b[0m    1"), std::string::npos) << text;
}

TEST(Table, counts_characters_and_not_bytes) {
  Table table({{"A"}, {"B"}});
  table.add({{"\xc3\xa9\xc3\xa9"}, {"1"}});
  table.add({{"ab"}, {"2"}});
  EXPECT_EQ(table.text(false), "A   B\n\xc3\xa9\xc3\xa9  1\nab  2\n");
}

TEST(SpellCount, is_short) {
  EXPECT_EQ(spell_count(0), "0");
  EXPECT_EQ(spell_count(9'999), "9999");
  EXPECT_EQ(spell_count(12'345), "12.3k");
  EXPECT_EQ(spell_count(999'499), "999k");
  EXPECT_EQ(spell_count(999'999), "1.00M");
  EXPECT_EQ(spell_count(UINT64_MAX), "18.4E");
}

TEST(SpellAge, is_short) {
  EXPECT_EQ(spell_age(-5s), "0s");
  EXPECT_EQ(spell_age(59s), "59s");
  EXPECT_EQ(spell_age(60s), "1m");
  EXPECT_EQ(spell_age(7'380s), "2h3m");
  EXPECT_EQ(spell_age(86'400s * 3 + 3'600s * 4), "3d4h");
}

}  // namespace table_test
}  // namespace steelyard
