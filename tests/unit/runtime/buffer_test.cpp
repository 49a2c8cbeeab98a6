// Buffers: what was appended minus what was consumed, in order, and no memory for nothing.
#include "runtime/buffer.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "base/prng.hpp"

namespace steelyard {
using namespace std::string_view_literals;

namespace buffer_test {

TEST(Buffer, an_empty_one_has_no_memory) {
  Buffer buffer;
  EXPECT_TRUE(buffer.empty());
  EXPECT_EQ(buffer.data(), nullptr);
  buffer.append(std::string_view{});
  EXPECT_EQ(buffer.data(), nullptr);
}

TEST(Buffer, gives_its_memory_back_with_the_last_byte) {
  Buffer buffer;
  buffer.append("abc"sv);
  buffer.consume(1);
  EXPECT_EQ(buffer.view(), "bc");
  buffer.consume(2);
  EXPECT_EQ(buffer.data(), nullptr);
}

TEST(Buffer, agrees_with_a_string_over_random_steps) {
  Prng prng(7);
  Buffer buffer;
  std::string model;
  for (int i = 0; i < 5000; ++i) {
    if (prng.chance(0.55)) {
      const std::string more(prng.below(prng.chance(0.1) ? 20'000 : 90), static_cast<char>('a' + prng.below(26)));
      buffer.append(std::string_view(more));
      model += more;
    } else {
      const std::size_t count = prng.below(model.size() + 1);
      buffer.consume(count);
      model.erase(0, count);
    }
    ASSERT_EQ(buffer.view(), model);
    ASSERT_EQ(buffer.size(), model.size());
  }
}

TEST(Buffer, reserving_keeps_what_is_there_and_then_appending_does_not_move_it) {
  Buffer buffer;
  buffer.append("head"sv);
  buffer.consume(1);
  buffer.reserve(5000);
  const char* const at = buffer.data();
  buffer.append(std::string_view(std::string(4997, 'x')));
  EXPECT_EQ(buffer.data(), at);
  EXPECT_EQ(buffer.view().substr(0, 4), "eadx");
}

TEST(Buffer, moving_takes_the_memory_and_leaves_nothing) {
  Buffer from;
  from.append("text"sv);
  const char* const at = from.data();
  Buffer to(std::move(from));
  EXPECT_EQ(to.data(), at);
  EXPECT_TRUE(from.empty());
  Buffer assigned;
  assigned.append("old"sv);
  assigned = std::move(to);
  EXPECT_EQ(assigned.view(), "text");
  EXPECT_TRUE(to.empty());
}

TEST(Buffer, moving_from_an_empty_one_empties) {
  Buffer buffer;
  buffer.append("old"sv);
  buffer = Buffer{};
  EXPECT_TRUE(buffer.empty());
  EXPECT_EQ(buffer.data(), nullptr);
}

}  // namespace buffer_test
}  // namespace steelyard
