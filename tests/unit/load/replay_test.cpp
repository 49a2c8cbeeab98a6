#include "load/replay.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <vector>

namespace steelyard::load {
namespace replay_test {

class ReplayFile : public testing::Test {
 protected:
  std::string write(std::string_view text) {
    std::ofstream(file_, std::ios::binary) << text;
    return file_;
  }
  ~ReplayFile() override { unlink(file_.c_str()); }
  std::string file_ = testing::TempDir() + "replay-" + std::to_string(getpid());
};

std::vector<std::string> targets_of(Replay& replay) {
  std::vector<std::string> targets;
  while (const auto due = replay.next()) targets.push_back(due->target);
  return targets;
}

TEST(ReplayLine, is_a_time_and_a_target) {
  const auto due = parse_replay_line("1500 /a?b=c");
  ASSERT_TRUE(due);
  EXPECT_EQ(due->at, 1500us);
  EXPECT_EQ(due->target, "/a?b=c");
}

TEST(ReplayLine, is_refused_where_anything_else_stands) {
  for (const char* const line : {"", " ", "1500", "1500 ", "/a 1500", "-1 /a", "1.5 /a", "1500  /a", "1500 a", "1500 /a b", "1500 /a\r",
                                 "1500\t/a", "99999999999999999999 /a", "9999999999999999999 /a"}) {
    EXPECT_FALSE(parse_replay_line(line)) << '"' << line << '"';
  }
}

TEST_F(ReplayFile, is_read_in_its_order) {
  const std::string file = write("0 /a\n10 /b\n10 /c\n2000000 /d");  // the last line without its end
  ASSERT_TRUE(Replay::check(file));
  const auto replay = Replay::open(file, {});
  ASSERT_TRUE(replay);
  EXPECT_EQ(targets_of(**replay), (std::vector<std::string>{"/a", "/b", "/c", "/d"}));
}

TEST_F(ReplayFile, shares_take_its_lines_in_turn) {
  const std::string file = write("0 /a\n1 /b\n2 /c\n3 /d\n4 /e\n");
  EXPECT_EQ(targets_of(**Replay::open(file, {0, 2})), (std::vector<std::string>{"/a", "/c", "/e"}));
  EXPECT_EQ(targets_of(**Replay::open(file, {1, 2})), (std::vector<std::string>{"/b", "/d"}));
}

TEST_F(ReplayFile, its_mistakes_have_a_place) {
  EXPECT_NE(Replay::check(write("0 /a\n1 b\n")).error().find(file_ + ":2:"), std::string::npos);
  EXPECT_NE(Replay::check(write("0 /a\n5 /b\n4 /c\n")).error().find(file_ + ":3:"), std::string::npos);
  EXPECT_NE(Replay::check(write("")).error().find("no requests"), std::string::npos);
  EXPECT_NE(Replay::check(file_ + ".absent").error().find("absent"), std::string::npos);
}

}  // namespace replay_test
}  // namespace steelyard::load
