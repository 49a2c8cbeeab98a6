#include "observe/log_sink.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "fixtures.hpp"

namespace steelyard {
namespace log_sink_test {

Result<std::size_t> write(const LogSink& sink, std::string_view text) { return sink.write({text, {}}); }

TEST(LogSink, keeps_the_file_that_still_has_its_name) {
  const test::TemporaryDirectory directory;
  auto sink = LogSink::open_file(directory.file("log"));
  ASSERT_TRUE(sink.has_value());
  const int before = sink->descriptor();
  ASSERT_TRUE(sink->reopen().has_value());
  EXPECT_EQ(sink->descriptor(), before);
  std::filesystem::rename(directory.file("log"), directory.file("old"));
  ASSERT_TRUE(sink->reopen().has_value());
  EXPECT_NE(sink->descriptor(), before);
  EXPECT_EQ(write(*sink, "new"), 3U);
  EXPECT_EQ(test::content_of(directory.file("log")), "new");
  EXPECT_EQ(test::content_of(directory.file("old")), "");
}

TEST(LogSink, opens_a_fifo_before_and_after_its_readers) {
  const test::TemporaryDirectory directory;
  const std::string path = directory.file("fifo");
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  const auto sink = LogSink::open_file(path);
  ASSERT_TRUE(sink.has_value());
  EXPECT_EQ(write(*sink, "a"), 1U);
  {
    const OwnedDescriptor reader{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    EXPECT_EQ(test::read_some(reader.get()), "a");
  }
  EXPECT_EQ(write(*sink, "b"), 1U);
  const OwnedDescriptor reader{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  EXPECT_EQ(test::read_some(reader.get()), "b");
}

TEST(LogSink, would_block_rather_than_wait) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const OwnedDescriptor reader{ends[0]};
  const OwnedDescriptor writer{ends[1]};
  const auto sink = LogSink::share(writer.get(), "pipe");
  ASSERT_TRUE(sink.has_value());
  Result<std::size_t> written = write(*sink, "x");
  while (written) written = write(*sink, std::string(10'000, 'x'));
  EXPECT_EQ(written.error().kind, ErrorKind::would_block);
}

TEST(LogSink, says_that_a_descriptor_is_closed) {
  const auto sink = LogSink::share(987'654, "nothing");
  ASSERT_FALSE(sink.has_value());
  EXPECT_EQ(sink.error().os_code, EBADF);
}

TEST(LogSink, takes_nothing_when_empty) { EXPECT_FALSE(write(LogSink{}, "x").has_value()); }

}  // namespace log_sink_test
}  // namespace steelyard
