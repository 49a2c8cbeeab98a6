#include "observe/message.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "fixtures.hpp"
#include "observe/log_sink.hpp"

namespace steelyard {
namespace message_test {

// Messages go into a pipe during a test and to stderr again after it.
class Message : public testing::Test {
 protected:
  void SetUp() override {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    reader_ = OwnedDescriptor{ends[0]};
    writer_ = OwnedDescriptor{ends[1]};
    configure(LogFormat::automatic, LogLevel::info);
  }
  void TearDown() override { configure_messages(LogOptions{}); }
  void configure(LogFormat format, LogLevel level) {
    LogOptions options;
    options.format = format;
    options.level = level;
    configure_messages(options, writer_.get());
  }

  OwnedDescriptor reader_;
  OwnedDescriptor writer_;
};

TEST_F(Message, is_one_line_of_json_off_a_terminal) {
  log_message(LogLevel::warning, "server {} says \"{}\"", "a:1", "no\r\n\x1b[2J\xff");
  const std::string text = test::read_some(reader_.get());
  EXPECT_EQ(text.find('\n'), text.size() - 1);
  const auto json = nlohmann::json::parse(text);
  EXPECT_EQ(json["level"], "warning");
  EXPECT_EQ(json["message"], "server a:1 says \"no\r\n\x1b[2Jÿ\"");
  EXPECT_EQ(json["time"].get<std::string>().size(), std::string("2026-11-21T03:10:29.123456Z").size());
}

TEST_F(Message, is_readable_when_told_to_be) {
  configure(LogFormat::human, LogLevel::info);
  log_message(LogLevel::error, "cannot\x1b[2J bind {}", 8080);
  const std::string text = test::read_some(reader_.get());
  EXPECT_TRUE(text.ends_with("  error    cannot\\u001b[2J bind 8080\n")) << text;
}

TEST_F(Message, obeys_the_level) {
  log_message(LogLevel::debug, "one");
  EXPECT_FALSE(message_enabled(LogLevel::debug));
  configure(LogFormat::json, LogLevel::debug);
  EXPECT_TRUE(message_enabled(LogLevel::debug));
  log_message(LogLevel::debug, "two");
  EXPECT_EQ(nlohmann::json::parse(test::read_some(reader_.get()))["message"], "two");
}

TEST_F(Message, is_cut_to_its_bound) {
  log_message(LogLevel::info, "{}", std::string(100'000, '\x01'));
  EXPECT_LE(test::read_some(reader_.get()).size(), 4096U);
}

TEST_F(Message, is_dropped_rather_than_waited_for) {
  const std::uint64_t before = messages_dropped();
  while (messages_dropped() == before) log_message(LogLevel::info, "nobody reads");
  EXPECT_EQ(::fcntl(writer_.get(), F_GETFL) & O_NONBLOCK, 0);
}

TEST_F(Message, stays_whole_from_several_threads) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([] {
      for (int k = 0; k < 50; ++k) log_message(LogLevel::info, "{}", std::string(100, 'x'));
    });
  }
  for (std::thread& thread : threads) thread.join();
  const auto lines = test::lines_of(test::read_some(reader_.get()));
  ASSERT_EQ(lines.size(), 200U);
  for (const std::string& line : lines) EXPECT_EQ(nlohmann::json::parse(line)["message"], std::string(100, 'x'));
}

TEST_F(Message, that_repeats_is_held_back) {
  for (int i = 0; i < 5; ++i) log_message_limited(LogLevel::error, "test that_repeats", "no descriptors left");
  log_message(LogLevel::info, "end");
  const std::string text = test::read_some(reader_.get());
  EXPECT_LT(test::lines_of(text).size(), 6U);
}

TEST(MessageLimiter, lets_one_pass_each_second_and_counts_the_others) {
  MessageLimiter limiter;
  EXPECT_EQ(limiter.admit("a", Instant{0}), 0U);
  EXPECT_EQ(limiter.admit("a", Instant{1}), std::nullopt);
  EXPECT_EQ(limiter.admit("a", Instant{999'999'999}), std::nullopt);
  EXPECT_EQ(limiter.admit("b", Instant{999'999'999}), 0U);
  EXPECT_EQ(limiter.admit("a", Instant{1'000'000'000}), 2U);
  EXPECT_EQ(limiter.admit("a", Instant{2'000'000'000}), 0U);
}

TEST(MessageLimiter, forgets_the_oldest_key_rather_than_growing) {
  MessageLimiter limiter;
  for (std::size_t i = 0; i <= MessageLimiter::keys_max; ++i) {
    EXPECT_EQ(limiter.admit(fmt::format("key {}", i), Instant{static_cast<std::int64_t>(i)}), 0U);
  }
  EXPECT_EQ(limiter.admit("key 1", Instant{300}), std::nullopt);
  EXPECT_EQ(limiter.admit("key 0", Instant{300}), 0U);
}

}  // namespace message_test
}  // namespace steelyard
