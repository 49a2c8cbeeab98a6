// An upgrade as the process that goes sees it, with programs that do not take over.
#include "app/upgrade.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <string>
#include <vector>

namespace steelyard {
namespace upgrade_test {

struct UpgradeTest : ::testing::Test {
  Upgrade::Host host() {
    return {.describe = [](std::optional<int>) { return std::string("{}"); },
            .successor_ready = [this] { ready = true; },
            .say = [this](std::string_view text) { said.emplace_back(text); }};
  }
  static Invocation shell(const std::string& script) { return {"/bin/sh", {"sh", "-c", script}}; }

  // Waits for the end of the child, as SIGCHLD would tell.
  static void await_child(Upgrade& upgrade) {
    siginfo_t info{};
    EXPECT_EQ(waitid(P_ALL, 0, &info, WEXITED | WNOWAIT), 0);
    upgrade.on_child_signal();
  }

  EpollLoop loop;
  bool ready = false;
  std::vector<std::string> said;
};

TEST_F(UpgradeTest, one_that_is_not_ready_in_time_is_killed_and_another_may_be_tried) {
  Upgrade upgrade(loop, shell("exec sleep 1000"), host(), 30s);
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(upgrade.begin({}));
    loop.scheduler().advance(loop.scheduler().now() + 29s);
    EXPECT_FALSE(upgrade.begin({})) << "one is under way";
    loop.scheduler().advance(loop.scheduler().now() + 2s);
    await_child(upgrade);
    EXPECT_FALSE(upgrade.under_way());
  }
  EXPECT_FALSE(ready);
  EXPECT_EQ(said.back(), "ready; the last upgrade failed");
}

TEST_F(UpgradeTest, one_that_ends_is_no_successor) {
  Upgrade upgrade(loop, shell("exit 0"), host());
  ASSERT_TRUE(upgrade.begin({}));
  await_child(upgrade);
  EXPECT_FALSE(upgrade.under_way());
  EXPECT_FALSE(upgrade.handed_over());
}

TEST_F(UpgradeTest, without_a_known_binary_there_is_none) {
  Upgrade upgrade(loop, {}, host());
  const auto begun = upgrade.begin({});
  ASSERT_FALSE(begun);
  EXPECT_EQ(begun.error(), "only `steelyard serve` can be upgraded in place, and only where the file that it was started from is known");
}

TEST_F(UpgradeTest, the_child_gets_one_descriptor_and_its_name_but_not_the_word_on_whose_the_watchdog_is) {
  setenv("WATCHDOG_PID", "1", 1);
  const std::string script = R"(test "$STEELYARD_TAKEOVER_FD" = 3 && test -S /proc/self/fd/3 && test -z "$WATCHDOG_PID" || exit 1
    for each in /proc/self/fd/*; do test "${each##*/}" -le 3 || test ! -S "$each" || exit 1; done
    printf 'ready\n' >&3; exec cat <&3 >/dev/null)";
  Upgrade upgrade(loop, shell(script),
                  {.describe = [](std::optional<int>) { return std::string("{}"); },
                   .successor_ready = [this] { loop.stop(); },
                   .say = [](std::string_view) {}});
  ASSERT_TRUE(upgrade.begin({}));
  loop.run();
  EXPECT_TRUE(upgrade.handed_over());
  EXPECT_FALSE(upgrade.begin({})) << "it has handed over";
  upgrade.let_go();
  unsetenv("WATCHDOG_PID");
}

}  // namespace upgrade_test
}  // namespace steelyard
