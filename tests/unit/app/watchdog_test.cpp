// Signs of life, on simulated time, to a socket that stands for the service manager's.
#include "app/watchdog.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <vector>

namespace steelyard {
namespace watchdog_test {

struct WatchdogTest : ::testing::Test {
  WatchdogTest() {
    const std::string name = "@steelyard-watchdog-" + std::to_string(getpid());
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    name.copy(address.sun_path + 1, name.size() - 1, 1);
    EXPECT_EQ(bind(manager, reinterpret_cast<const sockaddr*>(&address), static_cast<socklen_t>(sizeof(sa_family_t) + name.size())), 0);
    setenv("NOTIFY_SOCKET", name.c_str(), 1);
    setenv("WATCHDOG_USEC", "2000000", 1);
    unsetenv("WATCHDOG_PID");
  }
  ~WatchdogTest() override {
    close(manager);
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
  }

  int said() {
    int count = 0;
    char text[64];
    for (ssize_t got = 0; (got = recv(manager, text, sizeof text, MSG_DONTWAIT)) > 0; ++count) {
      EXPECT_EQ(std::string(text, static_cast<std::size_t>(got)), "WATCHDOG=1");
    }
    return count;
  }
  void pass(Duration time) { loop.scheduler().advance(loop.scheduler().now() + time); }

  const int manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  EpollLoop loop;
  std::vector<std::function<void()>> asked;
};

TEST_F(WatchdogTest, a_sign_comes_twice_in_each_interval_while_everybody_answers) {
  const Notify notify = Notify::from_environment();
  Watchdog watchdog(loop, notify, [](const auto& answer) {
    answer();
    answer();
    return std::size_t{2};
  });
  watchdog.start();
  EXPECT_EQ(said(), 1);
  for (int i = 0; i < 10; ++i) pass(1001ms);
  EXPECT_EQ(said(), 10);
  watchdog.stop();
  pass(10s);
  EXPECT_EQ(said(), 0);
}

TEST_F(WatchdogTest, one_that_does_not_answer_ends_the_signs_until_it_does) {
  const Notify notify = Notify::from_environment();
  Watchdog watchdog(loop, notify, [this](const auto& answer) {
    asked.push_back(answer);
    answer();
    return std::size_t{2};
  });
  watchdog.start();
  EXPECT_EQ(said(), 1);
  for (int i = 0; i < 5; ++i) pass(1001ms);
  EXPECT_EQ(said(), 0);
  ASSERT_EQ(asked.size(), 1U) << "it need not be asked again";
  asked.front()();
  pass(1001ms);
  EXPECT_EQ(said(), 1);
}

TEST_F(WatchdogTest, none_is_sent_where_none_is_wanted) {
  setenv("WATCHDOG_USEC", "0", 1);
  const Notify notify = Notify::from_environment();
  Watchdog watchdog(loop, notify, [](const auto& /*answer*/) { return std::size_t{0}; });
  watchdog.start();
  pass(10s);
  EXPECT_EQ(said(), 0);
}

}  // namespace watchdog_test
}  // namespace steelyard
