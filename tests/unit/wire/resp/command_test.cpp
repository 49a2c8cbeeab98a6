#include "wire/resp/command.hpp"

#include <gtest/gtest.h>

#include "wire/resp/reply_reader.hpp"

namespace steelyard::resp {
namespace command_test {

TEST(Command, is_an_array_of_texts_with_their_lengths) { EXPECT_EQ(command({"GET", "key"}), "*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n"); }

TEST(Command, appends_to_what_is_there) {
  std::string out = command({"PING"});
  write_command({"PING"}, out);
  EXPECT_EQ(out, "*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nPING\r\n");
}

TEST(Command, bytes_of_an_argument_are_nothing_but_bytes) {
  for (const std::string_view hostile :
       {std::string_view("a b"), std::string_view("\r\nFLUSHALL\r\n"), std::string_view("\0", 1), std::string_view(""),
        std::string_view("*1\r\n$8\r\nFLUSHALL\r\n"), std::string_view("{tag}*?[\xff")}) {
    ReplyReader reader;
    reader.feed(command({"SET", hostile, "1"}));
    const auto read = reader.next();
    ASSERT_TRUE(read && *read);
    ASSERT_EQ((*read)->items.size(), 3U);
    EXPECT_EQ((*read)->items[1].text, hostile);
    const auto behind = reader.next();
    EXPECT_TRUE(behind && !*behind);
  }
}

}  // namespace command_test
}  // namespace steelyard::resp
