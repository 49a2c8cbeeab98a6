#include "observe/access_channel.hpp"

#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include "fixtures.hpp"
#include "observe/log_sink.hpp"

namespace steelyard {
namespace access_channel_test {

bool was_woken(int wake) {
  eventfd_t count = 0;
  return ::eventfd_read(wake, &count) == 0;
}

TEST(AccessChannel, wakes_the_writer_once_when_half_full) {
  const OwnedDescriptor wake{::eventfd(0, EFD_NONBLOCK)};
  AccessChannel channel(256 * 1024, LineStyle::json, wake.get());
  const AccessRecord record = test::ordinary_record();
  channel.write(record);
  EXPECT_FALSE(was_woken(wake.get()));
  while (!channel.ring().half_full()) channel.write(record);
  EXPECT_TRUE(was_woken(wake.get()));
  channel.write(record);
  EXPECT_FALSE(was_woken(wake.get()));
  channel.seen();
  channel.write(record);
  EXPECT_TRUE(was_woken(wake.get()));
}

TEST(AccessChannel, drops_and_counts_when_nobody_empties_it) {
  const OwnedDescriptor wake{::eventfd(0, EFD_NONBLOCK)};
  AccessChannel channel(256 * 1024, LineStyle::json, wake.get());
  for (int i = 0; i < 1000; ++i) channel.write(test::ordinary_record());
  std::string text;
  for (const std::string_view piece : channel.ring().readable()) text += piece;
  EXPECT_EQ(test::lines_of(text).size() + channel.dropped(), 1000U);
  EXPECT_GT(channel.dropped(), 0U);
}

TEST(AccessChannel, does_nothing_when_the_log_is_off) {
  AccessChannel channel;
  EXPECT_FALSE(channel.enabled());
  channel.write(test::ordinary_record());
  EXPECT_EQ(channel.dropped(), 0U);
}

}  // namespace access_channel_test
}  // namespace steelyard
