#include "app/packet_command.hpp"

#include <gtest/gtest.h>

namespace steelyard {
namespace packet_command_test {

using Arguments = std::vector<std::string>;

TEST(ModernArguments, have_the_original_spelling_replaced) {
  EXPECT_EQ(modern_arguments({"packet", "server", "-id", "100", "-pp", "111", "-listen=2105", "-revproc", "2100"}),
            (Arguments{"packet", "server", "--id", "100", "--policy", "111", "--listen=2105", "--proxy", "2100"}));
  EXPECT_EQ(modern_arguments({"packet", "client", "-pkt", "1.json"}), (Arguments{"packet", "client", "--packet", "1.json"}));
}

TEST(ModernArguments, keep_everything_else) {
  const Arguments others = {"packet", "server", "--id", "-idle", "-h", "-i", "d", "-listen2", "=-id"};
  EXPECT_EQ(modern_arguments(others), others);
  const Arguments another = {"load", "-id", "1"};
  EXPECT_EQ(modern_arguments(another), another);
  EXPECT_EQ(modern_arguments({}), Arguments{});
}

}  // namespace packet_command_test
}  // namespace steelyard
