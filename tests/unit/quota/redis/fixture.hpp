// A store on a loop of its own, and work that asks it.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "net/epoll_net.hpp"
#include "quota/redis/store.hpp"
#include "support/line.hpp"
#include "tls/client.hpp"

namespace steelyard::quota::testing {

using testing_support::Line;

inline constexpr limit::Rule five_a_minute{.kind = limit::Kind::fixed_window, .count = 5, .period = 60s};

// Patient where a test is not about time: the machine may be busy.
inline RedisOptions patient_options(SocketAddress address) {
  RedisOptions options;
  options.addresses = {address};
  options.timeout = 2s;
  options.connect_timeout = 2s;
  options.retry_min = 5ms;
  options.retry_max = 20ms;
  return options;
}

// Waits until `condition` holds; false where it does not in a long time.
inline Task<bool> until(std::function<bool()> condition) {
  Fiber& fiber = co_await this_fiber();
  const Instant end = fiber.scheduler().now() + 40s;
  const Instant own_deadline = fiber.deadline();
  while (!condition() && fiber.scheduler().now() < end) {
    fiber.set_deadline(fiber.scheduler().now() + 1ms);
    co_await until_deadline();
  }
  fiber.set_deadline(own_deadline);
  co_return condition();
}

// A loop on the thread that makes it; runs once.
struct World {
  EpollLoop loop;
  EpollConnector connector{loop};
  RedisCounters counters;

  // Runs `work` on the loop until it has returned.
  void run(std::function<Task<void>()> work) {
    auto then_stop = [](EpollLoop& of, std::function<Task<void>()>& inner) -> Task<void> {
      co_await inner();
      of.stop();
    };
    Line line(loop.scheduler());
    line.fiber.start(then_stop(loop, work));
    loop.run();
    EXPECT_TRUE(line.finished);
  }

  // The same with a store that is started before, and stopped after it.
  void run_with(const RedisOptions& options, std::function<Task<void>(RedisStore&)> work) {
    std::shared_ptr<const tls::ClientContext> context;
    if (options.tls) {
      const auto made = tls::ClientContext::make(*options.tls);
      EXPECT_TRUE(made) << made.error();
      context = *made;
    }
    RedisStore store(connector, options, context, counters, 1);
    run([&]() -> Task<void> {
      store.start();
      co_await work(store);
      store.stop();
      const bool ended = co_await until([&] { return !store.running(); });
      EXPECT_TRUE(ended);
    });
  }
};

inline Task<std::expected<Grant, Unavailable>> take(RedisStore& store, const limit::Rule& rule, std::string_view key,
                                                    std::uint64_t cost = 1, std::uint64_t lease = 0) {
  Asked asked[] = {{.demand = {.rule = &rule, .limit = "test", .key = key, .cost = cost, .lease = lease}}};
  co_await store.take(asked);
  co_return asked[0].answer;
}

inline std::string in_words(const std::expected<Grant, Unavailable>& answer) {
  if (!answer) return std::string(name(answer.error()));
  return answer->verdict.allowed ? "allowed" : "refused";
}

}  // namespace steelyard::quota::testing
