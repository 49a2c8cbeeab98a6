// Listening at a path: who may connect, what is replaced, and what is left alone.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include "net/epoll_net.hpp"

namespace steelyard {
namespace unix_listener_test {

struct UnixListenerTest : ::testing::Test {
  std::filesystem::path folder = [] {
    std::string name = std::filesystem::temp_directory_path() / "steelyard-XXXXXX";
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    return name;
  }();
  std::string path = folder / "admin.sock";
  EpollLoop loop;

  ~UnixListenerTest() override { std::filesystem::remove_all(folder); }

  // The descriptor of a blocking client, or -1.
  [[nodiscard]] int connect_to(const std::string& where) const {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, where.data(), where.size());
    const int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (::connect(client, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return client;
    close(client);
    return -1;
  }
};

TEST_F(UnixListenerTest, accepts_peers_without_an_address) {
  const auto descriptor = listen_on_path(path);
  ASSERT_TRUE(descriptor);
  const auto listener = make_listener(loop, *descriptor);
  EXPECT_EQ(listener->local_address(), SocketAddress{});
  const int client = connect_to(path);
  ASSERT_GE(client, 0);
  const auto accepted = listener->accept();
  ASSERT_TRUE(accepted);
  EXPECT_EQ(accepted->peer, SocketAddress{});
  ASSERT_EQ(write(client, "hello", 5), 5);
  char memory[8];
  const auto got = accepted->stream->read(memory);
  ASSERT_TRUE(got);
  EXPECT_EQ(std::string(memory, *got), "hello");
  close(client);
}

TEST_F(UnixListenerTest, is_found_by_who_connects_to_its_path) {
  EpollConnector connector(loop);
  EXPECT_EQ(connector.connect_to_path(path).error().os_code, ENOENT);
  const auto descriptor = listen_on_path(path);
  ASSERT_TRUE(descriptor);
  const auto listener = make_listener(loop, *descriptor);
  const auto client = connector.connect_to_path(path);
  ASSERT_TRUE(client);
  EXPECT_TRUE((*client)->connect_result());
  const auto accepted = listener->accept();
  ASSERT_TRUE(accepted);
  ASSERT_TRUE((*client)->write(std::string_view("hello")));
  char memory[8];
  const auto got = accepted->stream->read(memory);
  ASSERT_TRUE(got);
  EXPECT_EQ(std::string(memory, *got), "hello");
  EXPECT_EQ(connector.connect_to_path("/" + std::string(107, 'x')).error().os_code, ENAMETOOLONG);
}

TEST_F(UnixListenerTest, lets_nobody_but_its_user_in) {
  const mode_t before = umask(0);
  const auto descriptor = listen_on_path(path);
  umask(before);
  ASSERT_TRUE(descriptor);
  struct stat status{};
  ASSERT_EQ(lstat(path.c_str(), &status), 0);
  EXPECT_TRUE(S_ISSOCK(status.st_mode));
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
  close(*descriptor);
}

TEST_F(UnixListenerTest, replaces_a_socket_that_nobody_listens_at) {
  const auto first = listen_on_path(path);
  ASSERT_TRUE(first);
  close(*first);
  ASSERT_EQ(connect_to(path), -1);
  const auto second = listen_on_path(path);
  ASSERT_TRUE(second);
  const int client = connect_to(path);
  EXPECT_GE(client, 0);
  close(client);
  close(*second);
}

TEST_F(UnixListenerTest, leaves_a_socket_that_somebody_listens_at) {
  const auto first = listen_on_path(path);
  ASSERT_TRUE(first);
  const auto second = listen_on_path(path);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().os_code, EADDRINUSE);
  const int client = connect_to(path);
  EXPECT_GE(client, 0);
  close(client);
  close(*first);
}

TEST_F(UnixListenerTest, leaves_what_is_no_socket) {
  std::ofstream(path) << "kept";
  const auto descriptor = listen_on_path(path);
  ASSERT_FALSE(descriptor);
  EXPECT_EQ(descriptor.error().os_code, EADDRINUSE);
  std::string text;
  std::ifstream(path) >> text;
  EXPECT_EQ(text, "kept");
}

TEST_F(UnixListenerTest, does_not_follow_a_link_to_a_stale_socket) {
  const auto stale = listen_on_path(path);
  ASSERT_TRUE(stale);
  close(*stale);
  const std::string link = folder / "link";
  std::filesystem::create_symlink(path, link);
  EXPECT_FALSE(listen_on_path(link));
  EXPECT_TRUE(std::filesystem::is_symlink(link));
}

TEST_F(UnixListenerTest, refuses_paths_that_do_not_fit) {
  for (const std::string& wrong : {std::string(), "/" + std::string(107, 'x')}) {
    const auto descriptor = listen_on_path(wrong);
    ASSERT_FALSE(descriptor);
    EXPECT_EQ(descriptor.error().os_code, ENAMETOOLONG);
  }
}

}  // namespace unix_listener_test
}  // namespace steelyard
