#include "load/samples.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <iterator>

#include "support/line.hpp"

namespace steelyard::load {
namespace samples_test {

using testing_support::at_ms;

std::string contents(const std::string& file) {
  std::ifstream input(file);
  return {std::istreambuf_iterator<char>(input), {}};
}

class Samples : public testing::Test {
 protected:
  ~Samples() override {
    for (const std::string& file : {file_, file_ + ".1", file_ + ".2"}) unlink(file.c_str());
  }
  static Ticket ticket(std::uint64_t number, Instant due) { return {.due = due, .target = {}, .counted = true, .number = number}; }

  std::string file_ = testing::TempDir() + "samples-" + std::to_string(getpid());
  ServerNames servers_;
  SampleLog log_{at_ms(1000), servers_};
};

TEST_F(Samples, are_written_in_the_order_of_due_times_whatever_the_order_of_ends) {
  ASSERT_TRUE(log_.open(file_));
  const std::uint32_t one = servers_.number_of("one");
  log_.add(ticket(2, at_ms(1020)), {.status = 200, .server = one, .body_bytes = 7}, at_ms(1021));
  log_.add(ticket(0, at_ms(1000)), {.status = 503}, at_ms(1030));
  log_.add(ticket(1, at_ms(1010)), {.failure = Failure::timeout, .status = 200, .server = one, .body_bytes = 3}, at_ms(1040));
  ASSERT_TRUE(log_.close());
  EXPECT_EQ(contents(file_), "0 30000 503 - 0\n10000 30000 0 timeout 3\n20000 1000 200 one 7\n");
}

TEST_F(Samples, a_server_is_one_word) {
  ASSERT_TRUE(log_.open(file_));
  log_.add(ticket(0, at_ms(1000)), {.status = 200, .server = servers_.number_of("my server\t1")}, at_ms(1000));
  log_.add(ticket(1, at_ms(1000)), {.status = 200, .server = servers_.number_of("")}, at_ms(1000));
  ASSERT_TRUE(log_.close());
  EXPECT_EQ(contents(file_), "0 0 200 my_server_1 0\n0 0 200 - 0\n");
}

TEST_F(Samples, what_has_not_ended_is_left_out) {
  ASSERT_TRUE(log_.open(file_));
  log_.add(ticket(1, at_ms(1001)), {.status = 200}, at_ms(1001));
  ASSERT_TRUE(log_.close());
  EXPECT_EQ(contents(file_), "1000 0 200 - 0\n");
}

TEST_F(Samples, many_are_all_written) {
  ASSERT_TRUE(log_.open(file_));
  std::string expected;
  for (std::uint64_t i = 0; i < 20'000; i += 2) {
    log_.add(ticket(i + 1, at_ms(1000)), {.status = 201}, at_ms(1000));
    log_.add(ticket(i, at_ms(1000)), {.status = 200}, at_ms(1000));
    expected += "0 0 200 - 0\n0 0 201 - 0\n";
  }
  ASSERT_TRUE(log_.close());
  EXPECT_EQ(contents(file_), expected);
}

TEST_F(Samples, without_a_file_nothing_is_kept) {
  log_.add(ticket(0, at_ms(1000)), {.status = 200}, at_ms(1000));
  EXPECT_TRUE(log_.close());
}

TEST_F(Samples, a_file_that_cannot_be_written_is_said) {
  EXPECT_NE(log_.open("/nowhere/at/all").error().find("/nowhere/at/all"), std::string::npos);
  ASSERT_TRUE(log_.open("/dev/full"));
  log_.add(ticket(0, at_ms(1000)), {.status = 200}, at_ms(1000));
  EXPECT_NE(log_.close().error().find("/dev/full"), std::string::npos);
}

TEST_F(Samples, parts_are_merged_by_due_time_and_removed) {
  std::ofstream(file_ + ".1") << "0 a\n9 b\n10 c\n";
  std::ofstream(file_ + ".2") << "5 d\n100 e\n";
  ASSERT_TRUE(merge_samples({file_ + ".1", file_ + ".2"}, file_));
  EXPECT_EQ(contents(file_), "0 a\n5 d\n9 b\n10 c\n100 e\n");
  EXPECT_NE(access((file_ + ".1").c_str(), F_OK), 0);
  EXPECT_NE(access((file_ + ".2").c_str(), F_OK), 0);
}

}  // namespace samples_test
}  // namespace steelyard::load
