// The loop on a thread's own: what is posted, timers in real time, and pollables that go away with events under way.
#include "net/epoll_loop.hpp"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "support/line.hpp"

namespace steelyard {
namespace epoll_loop_test {

using testing_support::Line;

class Probe final : public Pollable {
 public:
  explicit Probe(EpollLoop& of) : loop(of), descriptor(eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC)) { EXPECT_TRUE(loop.add(descriptor, *this)); }
  ~Probe() {
    loop.remove(descriptor, *this);
    close(descriptor);
  }
  void on_events(std::uint32_t /*events*/) override { then(); }
  EpollLoop& loop;
  int descriptor;
  std::function<void()> then = [] {};
};

class Alarm final : public Timer {
 public:
  std::function<void()> then;
  void on_expired() override { then(); }
};

TEST(EpollLoop, runs_what_other_threads_post_in_their_order_and_stops) {
  EpollLoop loop;
  std::vector<int> order;
  std::thread other([&] {
    for (int i = 0; i < 100; ++i) loop.post([&order, i] { order.push_back(i); });
    loop.stop();
  });
  loop.run();
  other.join();
  ASSERT_EQ(order.size(), 100U);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
}

TEST(EpollLoop, what_is_posted_may_post) {
  EpollLoop loop;
  loop.post([&] { loop.post([&] { loop.stop(); }); });
  loop.run();
}

// What becomes of a listening socket that is handed over, and for a moment of every connection when a process is started.
TEST(EpollLoop, a_descriptor_that_lives_on_elsewhere_has_no_events_here_once_it_was_removed) {
  EpollLoop loop;
  Probe probe(loop);
  int events = 0;
  probe.then = [&] { ++events; };
  const int elsewhere = dup(probe.descriptor);
  loop.remove(probe.descriptor, probe);
  close(probe.descriptor);
  loop.post([&] { loop.post([&] { loop.stop(); }); });
  loop.run();
  EXPECT_EQ(events, 0);
  probe.descriptor = elsewhere;
}

TEST(EpollLoop, a_timer_wakes_it_and_not_early) {
  for (const Duration spin : {Duration{0}, Duration{1ms}}) {
    EpollLoop loop(spin);
    Alarm alarm;
    const Instant due = loop.scheduler().now() + 20ms;
    alarm.then = [&] { loop.stop(); };
    loop.scheduler().timers().arm(alarm, due);
    loop.run();
    EXPECT_GE(monotonic_now(), due);
  }
}

TEST(EpollLoop, what_was_ready_before_it_runs_is_not_slept_on) {
  EpollLoop loop;
  auto stop_after_yield = [](EpollLoop& of) -> Task<void> {
    co_await yield_turn();
    of.stop();
  };
  Line line(loop.scheduler());
  line.fiber.start(stop_after_yield(loop));
  loop.run();
  EXPECT_TRUE(line.finished);
}

TEST(EpollLoop, who_yields_for_ever_does_not_keep_events_and_timers_out) {
  EpollLoop loop;
  auto busy = [] -> Task<void> {
    while (co_await yield_turn() == WaitResult::done) {
    }
  };
  Line line(loop.scheduler());
  line.fiber.start(busy());
  Probe probe(loop);
  bool event = false;
  probe.then = [&] { event = true; };
  Alarm alarm;
  alarm.then = [&] {
    line.fiber.cancel(Cause::shutdown);
    loop.stop();
  };
  loop.scheduler().timers().arm(alarm, loop.scheduler().now() + 5ms);
  loop.run();
  EXPECT_TRUE(event);
  EXPECT_TRUE(line.finished);
}

TEST(EpollLoop, a_pollable_destroyed_by_another_one_in_the_same_turn_gets_no_event) {
  EpollLoop loop;
  std::vector<std::unique_ptr<Probe>> probes;
  int events = 0;
  for (int i = 0; i < 8; ++i) {
    probes.push_back(std::make_unique<Probe>(loop));
    // Whichever is first takes all others with it, and a new one may take their place in memory.
    probes.back()->then = [&, i] {
      ++events;
      for (int other = 0; other < 8; ++other) {
        if (other != i) probes[static_cast<std::size_t>(other)].reset();
      }
      loop.stop();
    };
  }
  loop.run();
  EXPECT_EQ(events, 1);
}

TEST(EpollLoop, a_pollable_destroyed_by_a_timer_of_the_turn_gets_no_event) {
  EpollLoop loop;
  auto probe = std::make_unique<Probe>(loop);
  probe->then = [] { ADD_FAILURE() << "told after it was destroyed"; };
  Alarm alarm;
  alarm.then = [&] {
    probe.reset();
    loop.stop();
  };
  // Due before the first wait returns, so that the event and the timer meet in one turn.
  loop.scheduler().timers().arm(alarm, loop.scheduler().now());
  while (monotonic_now() < loop.scheduler().now() + 2ms) {
  }
  loop.run();
  EXPECT_EQ(probe, nullptr);
}

TEST(EpollLoop, a_pollable_may_destroy_itself_in_its_event) {
  EpollLoop loop;
  auto probe = std::make_unique<Probe>(loop);
  probe->then = [&] {
    loop.stop();
    auto own = std::move(probe->then);
    probe.reset();
  };
  loop.run();
  EXPECT_EQ(probe, nullptr);
}

TEST(EpollLoop, the_unix_time_of_a_turn_is_that_of_the_system) {
  EpollLoop loop;
  const auto system = std::chrono::system_clock::now().time_since_epoch();
  EXPECT_LT(std::chrono::abs(std::chrono::microseconds(loop.scheduler().unix_us()) - system), 5s);
}

}  // namespace epoll_loop_test
}  // namespace steelyard
