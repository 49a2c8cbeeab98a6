#include "backend/packet_server.hpp"

#include <gtest/gtest.h>

namespace steelyard::backend {
namespace packet_server_test {

TEST(Promises, are_separated_by_commas) {
  for (const std::string_view promised : {"111", " 111\t", "222,111", "111 , 222", ",111,"})
    EXPECT_TRUE(promises(promised, "111")) << promised;
  for (const std::string_view promised : {"", "11", "1111", "1 11", "222", "11,1", ","})
    EXPECT_FALSE(promises(promised, "111")) << promised;
}

TEST(Promises, of_nothing_are_none) {
  EXPECT_FALSE(promises("111,", ""));
  EXPECT_FALSE(promises("", ""));
  EXPECT_FALSE(promises("111,222", "111,222"));
}

}  // namespace packet_server_test
}  // namespace steelyard::backend
