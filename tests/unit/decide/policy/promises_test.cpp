// What a server promises: how a label's value is read, and what meets a demand.
#include "decide/policy/promises.hpp"

#include <gtest/gtest.h>

namespace steelyard::policy {
namespace promises_test {

using Values = std::vector<std::string>;

TEST(Promises, reads_one_value) { EXPECT_EQ(Promises("tier", "gold").values(), Values{"gold"}); }
TEST(Promises, reads_several_values_and_trims_blanks) {
  EXPECT_EQ(Promises("tier", " gold ,\tsilver,two words ").values(), (Values{"gold", "silver", "two words"}));
}
TEST(Promises, drops_what_is_empty_or_there_twice) {
  EXPECT_EQ(Promises("tier", ",gold,, ,gold,").values(), Values{"gold"});
  EXPECT_TRUE(Promises("tier", "").empty());
  EXPECT_TRUE(Promises("tier", " , ,").empty());
}

TEST(Promises, are_found_by_exact_bytes) {
  const Promises promises("tier", "gold,silver");
  EXPECT_EQ(promises.find("gold"), "gold");
  EXPECT_EQ(promises.find("silver"), "silver");
  for (const std::string_view other : {"Gold", "gol", "gold ", "golden", "", "gold,silver"}) {
    EXPECT_FALSE(promises.find(other)) << other;
  }
  const std::string_view with_nul("gold\0", 5);
  EXPECT_FALSE(promises.find(with_nul));
}

TEST(Promises, the_text_that_was_found_is_their_own) {
  const Promises promises("tier", "gold");
  std::string asked = "gold";
  const std::string_view found = promises.find(asked).value();
  asked = "lead";
  EXPECT_EQ(found, "gold");
}

TEST(Promises, meet_a_demand_under_the_same_label_only) {
  const Promises promises("tier", "gold");
  EXPECT_TRUE(promises.meet({"tier", "gold"}));
  EXPECT_FALSE(promises.meet({"zone", "gold"}));
  EXPECT_FALSE(promises.meet({"tier", "silver"}));
  EXPECT_FALSE(Promises().meet({"", ""}));
}

TEST(Promises, are_the_same_in_any_order_and_not_under_another_label) {
  EXPECT_EQ(Promises("tier", "a,b"), Promises("tier", "b , a,a"));
  EXPECT_NE(Promises("tier", "a,b"), Promises("tier", "a"));
  EXPECT_NE(Promises("tier", "a"), Promises("zone", "a"));
  EXPECT_EQ(Promises("tier", ""), Promises("zone", ",")) << "nothing is promised";
}

TEST(Promises, overlap_where_one_value_is_in_both) {
  EXPECT_TRUE(Promises("tier", "a,b").overlap(Promises("tier", "b,c")));
  EXPECT_FALSE(Promises("tier", "a").overlap(Promises("tier", "b")));
  EXPECT_FALSE(Promises("tier", "a").overlap(Promises("zone", "a")));
}

TEST(Promises, kinds_are_those_of_requests_and_never_that_of_requests_without_a_demand) {
  const Promises promises("tier", "gold,silver");
  EXPECT_EQ(promises.kinds(), (std::vector{kind_of("gold"), kind_of("silver")}));
  EXPECT_NE(kind_of("gold"), kind_of("silver"));
  EXPECT_NE(kind_of(""), no_kind);
}

}  // namespace promises_test
}  // namespace steelyard::policy
