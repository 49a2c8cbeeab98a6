// Slots of keys, and tables of slots, right and wrong.
#include "quota/redis/slot.hpp"

#include <gtest/gtest.h>

#include "quota/redis/slot_table.hpp"
#include "wire/resp/reply_reader.hpp"

namespace steelyard::quota {
namespace slot_test {

// Of the specification: CRC16 of "123456789" is 0x31C3; CLUSTER KEYSLOT of a real Redis said the others.
TEST(Slot, is_that_of_redis) {
  EXPECT_EQ(crc16::of("123456789"), 0x31c3);
  EXPECT_EQ(slot_of("123456789"), 0x31c3);
  EXPECT_EQ(slot_of("foo"), 12'182);
  EXPECT_EQ(slot_of(""), 0);
}

TEST(Slot, goes_by_what_stands_between_the_first_braces) {
  EXPECT_EQ(slot_of("{foo}bar"), slot_of("foo"));
  EXPECT_EQ(slot_of("a{foo}{bar}"), slot_of("foo"));
  EXPECT_EQ(slot_of("{}foo"), crc16::of("{}foo") % slot_count);
  EXPECT_EQ(slot_of("{foo"), crc16::of("{foo") % slot_count);
  EXPECT_EQ(slot_of("foo{{bar}}"), slot_of("{bar"));
}

std::expected<std::vector<SlotRange>, std::string> read(std::string_view bytes) {
  resp::ReplyReader reader;
  reader.feed(bytes);
  const auto reply = reader.next();
  return read_slot_table(reply.value().value(), *SocketAddress::parse("10.0.0.9:7009"));
}

TEST(SlotTable, names_the_master_of_each_range) {
  const auto table = read(
      "*2\r\n*4\r\n:0\r\n:8191\r\n*4\r\n$8\r\n10.0.0.1\r\n:7000\r\n$2\r\nid\r\n*0\r\n*2\r\n$8\r\n10.0.0.2\r\n:7001\r\n"
      "*3\r\n:8192\r\n:16383\r\n*2\r\n$0\r\n\r\n:7002\r\n");
  ASSERT_TRUE(table) << table.error();
  EXPECT_EQ(*table, (std::vector<SlotRange>{{0, 8191, *SocketAddress::parse("10.0.0.1:7000")},
                                            {8192, 16383, *SocketAddress::parse("10.0.0.9:7002")}}));
}

TEST(SlotTable, that_makes_no_sense_is_refused) {
  for (const char* bytes :
       {"+OK\r\n", "*0\r\n", "$-1\r\n", "*1\r\n:1\r\n", "*1\r\n*2\r\n:0\r\n:1\r\n",
        "*1\r\n*3\r\n:0\r\n:16384\r\n*2\r\n$7\r\n1.2.3.4\r\n:1\r\n", "*1\r\n*3\r\n:-1\r\n:1\r\n*2\r\n$7\r\n1.2.3.4\r\n:1\r\n",
        "*1\r\n*3\r\n:2\r\n:1\r\n*2\r\n$7\r\n1.2.3.4\r\n:1\r\n", "*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n$7\r\n1.2.3.4\r\n:0\r\n",
        "*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n$7\r\n1.2.3.4\r\n:65536\r\n", "*1\r\n*3\r\n:0\r\n:1\r\n*1\r\n$7\r\n1.2.3.4\r\n",
        "*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n$1\r\n?\r\n:1\r\n", "*1\r\n*3\r\n:0\r\n:1\r\n+x\r\n"}) {
    EXPECT_FALSE(read(bytes)) << bytes;
  }
  EXPECT_TRUE(read("*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n$4\r\nhost\r\n:1\r\n").error().contains("'host'"));
}

}  // namespace slot_test
}  // namespace steelyard::quota
