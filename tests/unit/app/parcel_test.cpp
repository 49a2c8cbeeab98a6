// Parcels over a real pair of sockets.
#include "app/parcel.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

namespace steelyard {
namespace parcel_test {

struct ParcelTest : ::testing::Test {
  ParcelTest() { EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()), 0); }
  ~ParcelTest() override {
    for (const int end : ends) close(end);
  }
  std::array<int, 2> ends{};
};

TEST_F(ParcelTest, word_text_and_as_many_descriptors_as_fit_arrive) {
  const auto file = make_memory_file("some\ntext");
  ASSERT_TRUE(file);
  ASSERT_TRUE(send_parcel(ends[0], {"sockets", "line\nline", std::vector<int>(parcel_descriptors_max, *file)}));
  close(*file);
  const auto parcel = receive_parcel(ends[1]);
  ASSERT_TRUE(parcel);
  EXPECT_EQ(parcel->word, "sockets");
  EXPECT_EQ(parcel->text, "line\nline");
  ASSERT_EQ(parcel->descriptors.size(), parcel_descriptors_max);
  for (const int descriptor : parcel->descriptors) {
    EXPECT_EQ(read_memory_file(descriptor).value_or(""), "some\ntext");
    EXPECT_NE(fcntl(descriptor, F_GETFD) & FD_CLOEXEC, 0) << "it is not for children";
    close(descriptor);
  }
}

TEST_F(ParcelTest, nothing_yet_nobody_there_and_nonsense_are_told_apart) {
  EXPECT_EQ(receive_parcel(ends[0]).error().kind, ErrorKind::would_block);
  ASSERT_EQ(send(ends[1], "no line", 7, 0), 7);
  EXPECT_EQ(receive_parcel(ends[0]).error().kind, ErrorKind::malformed);
  shutdown(ends[1], SHUT_RDWR);
  EXPECT_EQ(receive_parcel(ends[0]).error().kind, ErrorKind::closed);
  EXPECT_EQ(send_parcel(ends[0], {"ready", "", {}}).error().kind, ErrorKind::closed);
}

TEST_F(ParcelTest, a_full_socket_is_no_failure) {
  Result<void> sent;
  for (int i = 0; i < 10'000 && sent; ++i) sent = send_parcel(ends[0], {"counts", std::string(1000, 'x'), {}});
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().kind, ErrorKind::would_block);
}

}  // namespace parcel_test
}  // namespace steelyard
