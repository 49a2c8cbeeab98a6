// Servers that are slow, silent, broken or hostile: every question ends, answers are never mixed up, and little is kept.
#include <gtest/gtest.h>

#include <list>
#include <string>
#include <vector>

#include "quota/redis/fake_redis.hpp"
#include "quota/redis/fixture.hpp"
#include "quota/redis/store.hpp"

namespace steelyard::quota {
namespace node_test {

using testing::FakeRedis;
using testing::five_a_minute;
using testing::grant_text;
using testing::in_words;
using testing::patient_options;
using testing::take;
using testing::until;
using testing::Words;

bool is_probe(const Words& words) { return words.at(0) == "EVAL"; }
// The key without prefix and limit.
std::string key_of(const Words& words) { return words.at(3).substr(std::string_view("steelyard:test:").size()); }

struct RedisNodeTest : ::testing::Test, testing::World {
  FakeRedis fake{loop};
  std::function<std::optional<std::string>(const Words&)> answer = [](const Words&) { return grant_text(); };

  void SetUp() override {
    fake.script = [this](const Words& words) { return is_probe(words) ? std::optional(grant_text()) : answer(words); };
  }
  RedisOptions options() const { return patient_options(fake.address()); }

  void ask(const RedisOptions& with, std::function<Task<void>(RedisStore&)> work) {
    run_with(with, [&](RedisStore& store) -> Task<void> {
      const bool available = co_await until([&] { return store.available(); });
      EXPECT_TRUE(available);
      co_await work(store);
      store.stop();
      co_await fake.stop();
    });
  }
};

// Asks in a fiber of its own.
struct Asking {
  Asking(RedisStore& store, std::string of) : key(std::move(of)), child(scheduler(store)) { child.start(run(store)); }
  static Scheduler& scheduler(RedisStore& store) { return store.scheduler(); }
  Task<void> run(RedisStore& store) {
    answer = co_await take(store, five_a_minute, key);
    ended = true;
  }
  std::string key;
  Child child;
  bool ended = false;
  std::expected<Grant, Unavailable> answer = std::unexpected(Unavailable::stopped);
};

TEST_F(RedisNodeTest, answers_come_to_who_asked) {
  answer = [](const Words& words) { return grant_text(static_cast<int>(key_of(words).size())); };
  ask(options(), [&](RedisStore& store) -> Task<void> {
    std::list<Asking> asking;
    for (std::size_t i = 1; i <= 50; ++i) asking.emplace_back(store, std::string(i, 'x'));
    for (Asking& each : asking) {
      co_await each.child.join();
      EXPECT_EQ(each.answer ? each.answer->verdict.remaining : 0, each.key.size());
    }
  });
}

// Counts what is written, and passes everything on.
class CountedStream final : public Stream, private StreamObserver {
 public:
  CountedStream(std::unique_ptr<Stream> below, int& writes) : below_(std::move(below)), writes_(writes) { below_->observe(this); }
  Result<std::size_t> read(std::span<char> into) override {
    const auto got = below_->read(into);
    if (!below_->is_readable()) exhausted_read();
    return got;
  }
  Result<std::size_t> write(std::span<const char> bytes) override {
    ++writes_;
    return below_->write(bytes);
  }
  void shutdown_write() override { below_->shutdown_write(); }
  void reset_on_close() override { below_->reset_on_close(); }
  void break_off() override { below_->break_off(); }
  Result<void> connect_result() override { return below_->connect_result(); }
  bool quiet() override { return below_->quiet(); }

 private:
  void begin_events() override { below_->watch(); }
  void on_unawaited_event(Stream& below) override {
    deliver({.readable = true, .writable = true, .peer_ended = below.peer_ended(), .broken = below.broken()});
  }
  void on_unawaited_room(Stream& /*below*/) override {
    deliver({.readable = false, .writable = true, .peer_ended = false, .broken = false});
  }

  std::unique_ptr<Stream> below_;
  int& writes_;
};

class CountedConnector final : public Connector {
 public:
  explicit CountedConnector(Connector& below) : below_(below) {}
  Result<std::unique_ptr<Stream>> connect(const SocketAddress& to) override {
    auto made = below_.connect(to);
    if (!made) return made;
    return std::make_unique<CountedStream>(std::move(*made), writes);
  }
  Scheduler& scheduler() override { return below_.scheduler(); }
  void post(std::function<void()> work) override { below_.post(std::move(work)); }
  int writes = 0;

 private:
  Connector& below_;
};

TEST_F(RedisNodeTest, questions_of_one_turn_go_out_in_one_write) {
  CountedConnector counted(connector);
  RedisStore store(counted, options(), nullptr, counters, 1);
  run([&]() -> Task<void> {
    store.start();
    const bool available = co_await until([&] { return store.available(); });
    EXPECT_TRUE(available);
    const int before = counted.writes;
    // The first asks in the middle of a turn, and the second is woken by it, after whatever else the first has woken.
    std::list<Asking> asking;
    Child first(loop.scheduler());
    auto ask_next_turn = [&]() -> Task<void> {
      co_await yield_turn();
      asking.emplace_back(store, "client");
    };
    first.start(ask_next_turn());
    co_await first.join();
    asking.emplace_back(store, "client");
    for (Asking& each : asking) co_await each.child.join();
    EXPECT_EQ(counted.writes - before, 1);
    store.stop();
    co_await fake.stop();
    const bool ended = co_await until([&] { return !store.running(); });
    EXPECT_TRUE(ended);
  });
}

TEST_F(RedisNodeTest, a_late_answer_is_dropped_and_the_next_one_is_that_of_the_next_question) {
  RedisOptions hasty = options();
  hasty.timeout = 40ms;
  hasty.failures_max = 100;
  std::string late;
  answer = [&](const Words& words) {
    if (key_of(words) != "slow") return std::exchange(late, {}) + grant_text(2);
    late += grant_text(1);
    return std::string();
  };
  ask(hasty, [&](RedisStore& store) -> Task<void> {
    for (int i = 0; i < 3; ++i) {
      const auto slow = co_await take(store, five_a_minute, "slow");
      EXPECT_EQ(in_words(slow), "timed_out");
      const auto quick = co_await take(store, five_a_minute, "quick");
      EXPECT_EQ(quick ? quick->verdict.remaining : 0, 2U);
    }
  });
  EXPECT_EQ(counters.timeouts.value(), 3U);
  EXPECT_EQ(counters.connects.value(), 1U);
}

TEST_F(RedisNodeTest, one_whose_every_answer_is_late_is_given_up) {
  RedisOptions hasty = options();
  hasty.timeout = 40ms;
  std::string late;
  answer = [&](const Words& /*words*/) { return std::exchange(late, grant_text()); };
  ask(hasty, [&](RedisStore& store) -> Task<void> {
    for (const char* expected : {"timed_out", "timed_out", "timed_out", "away"}) {
      const auto each = co_await take(store, five_a_minute, "client");
      EXPECT_EQ(in_words(each), expected);
    }
    EXPECT_EQ(counters.connects.value(), 1U);
  });
}

TEST_F(RedisNodeTest, who_is_cancelled_leaves_the_others_their_answers) {
  std::string held;
  answer = [&](const Words& words) {
    if (key_of(words) == "last") return held + grant_text(3);
    held += grant_text(key_of(words) == "first" ? 1 : 2);
    return std::string();
  };
  ask(options(), [&](RedisStore& store) -> Task<void> {
    Asking first(store, "first");
    Asking second(store, "second");
    const bool arrived = co_await until([&] { return held.size() == 2 * grant_text().size(); });
    EXPECT_TRUE(arrived);
    first.child.cancel(Cause::client_gone);
    co_await first.child.join();
    EXPECT_EQ(in_words(first.answer), "cancelled");
    EXPECT_FALSE(second.ended);
    const auto last = co_await take(store, five_a_minute, "last");
    EXPECT_EQ(last ? last->verdict.remaining : 0, 3U);
    co_await second.child.join();
    EXPECT_EQ(second.answer ? second.answer->verdict.remaining : 0, 2U);
  });
  EXPECT_EQ(counters.errors.value() + counters.timeouts.value(), 0U);
}

TEST_F(RedisNodeTest, a_request_that_is_out_of_time_itself_does_not_speak_against_redis) {
  answer = [](const Words&) { return std::string(); };
  RedisOptions strict = options();
  strict.failures_max = 1;
  ask(strict, [&](RedisStore& store) -> Task<void> {
    Fiber& fiber = co_await this_fiber();
    fiber.set_deadline(fiber.scheduler().now() + 10ms);
    const auto late = co_await take(store, five_a_minute, "client");
    fiber.clear_deadline();
    EXPECT_EQ(in_words(late), "timed_out");
    EXPECT_TRUE(store.available());
    EXPECT_EQ(counters.nodes_open.value(), 0);
  });
}

TEST_F(RedisNodeTest, what_is_no_answer_ends_the_connection) {
  int hostile = 0;
  const std::vector<std::string> replies = {"$-5\r\n",
                                            "*1000000000\r\n",
                                            ":1\r\n",
                                            "+OK\r\n",
                                            "$-1\r\n",
                                            "*0\r\n",
                                            "*7\r\n:1\r\n:1\r\n:0\r\n:1000\r\n:0\r\n:1000000\r\n$1\r\n1\r\n",
                                            "*7\r\n:2\r\n:1\r\n:0\r\n:1000\r\n:0\r\n:1000000\r\n:1\r\n",
                                            "*7\r\n:1\r\n:-1\r\n:0\r\n:1000\r\n:0\r\n:1000000\r\n:1\r\n",
                                            "*7\r\n:1\r\n:9223372036854775807\r\n:0\r\n:1000\r\n:0\r\n:1000000\r\n:1\r\n",
                                            "HTTP/1.1 400 Bad Request\r\n\r\n",
                                            ">2\r\n+invalidate\r\n*0\r\n",
                                            std::string(20'000, 'x'),
                                            "+" + std::string(20'000, 'x'),
                                            "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n"};
  answer = [&](const Words& words) {
    return key_of(words) == "hostile" ? replies.at(static_cast<std::size_t>(hostile)) + grant_text() : grant_text();
  };
  ask(options(), [&](RedisStore& store) -> Task<void> {
    for (; hostile < static_cast<int>(replies.size()); ++hostile) {
      const int connections = fake.connections;
      const auto bad = co_await take(store, five_a_minute, "hostile");
      EXPECT_EQ(in_words(bad), "failed") << replies.at(static_cast<std::size_t>(hostile)).substr(0, 40);
      const bool again = co_await until([&] { return fake.connections > connections && store.available(); });
      EXPECT_TRUE(again);
      const auto good = co_await take(store, five_a_minute, "client");
      EXPECT_EQ(in_words(good), "allowed");
    }
  });
}

TEST_F(RedisNodeTest, a_reply_beyond_the_limit_is_not_read_to_its_end) {
  RedisOptions narrow = options();
  narrow.reply_bytes_max = 50'000;
  answer = [](const Words&) { return "$536870913\r\n" + std::string(100'000, 'x'); };
  ask(narrow, [&](RedisStore& store) -> Task<void> {
    const auto bad = co_await take(store, five_a_minute, "client");
    EXPECT_EQ(in_words(bad), "failed");
  });
}

TEST_F(RedisNodeTest, an_answer_that_nobody_asked_for_ends_the_connection) {
  ask(options(), [&](RedisStore& store) -> Task<void> {
    fake.say(grant_text(1));
    const bool again = co_await until([&] { return fake.connections == 2 && store.available(); });
    EXPECT_TRUE(again);
    const auto good = co_await take(store, five_a_minute, "client");
    EXPECT_EQ(in_words(good), "allowed");
  });
}

TEST_F(RedisNodeTest, a_connection_that_breaks_off_within_an_answer_fails_all_that_wait) {
  int asked = 0;
  answer = [&](const Words&) -> std::optional<std::string> {
    if (++asked == 2) fake.say("*7\r\n:1\r\n:");
    return asked == 3 ? std::nullopt : std::optional<std::string>("");
  };
  ask(options(), [&](RedisStore& store) -> Task<void> {
    Asking first(store, "a");
    Asking second(store, "b");
    Asking third(store, "c");
    co_await first.child.join();
    co_await second.child.join();
    co_await third.child.join();
    for (const Asking* each : {&first, &second, &third}) EXPECT_EQ(in_words(each->answer), "failed");
  });
  EXPECT_EQ(counters.errors.value(), 3U);
}

TEST_F(RedisNodeTest, no_more_than_so_many_are_under_way) {
  answer = [](const Words&) { return std::string(); };
  RedisOptions narrow = options();
  narrow.in_flight_max = 3;
  ask(narrow, [&](RedisStore& store) -> Task<void> {
    std::list<Asking> asking;
    for (int i = 0; i < 3; ++i) asking.emplace_back(store, "client");
    const auto over = co_await take(store, five_a_minute, "client");
    EXPECT_EQ(in_words(over), "overloaded");
    store.stop();
    for (Asking& each : asking) {
      co_await each.child.join();
      EXPECT_EQ(in_words(each.answer), "stopped");
    }
    const auto after = co_await take(store, five_a_minute, "client");
    EXPECT_EQ(in_words(after), "stopped");
  });
}

TEST(RedisNodeErrors, those_that_say_that_this_is_not_the_right_redis_end_the_connection) {
  for (const char* error : {"-READONLY You can't write", "-LOADING Redis is loading", "-MASTERDOWN Link with MASTER is down",
                            "-ERR Error running script (call to f_1): @user_script:1: -READONLY You can't write"}) {
    testing::World world;
    FakeRedis server(world.loop);
    bool wrong = true;
    server.script = [&](const Words& words) { return is_probe(words) || !wrong ? grant_text() : std::string(error) + "\r\n"; };
    world.run_with(patient_options(server.address()), [&](RedisStore& store) -> Task<void> {
      auto answered = co_await take(store, five_a_minute, "client");
      EXPECT_EQ(in_words(answered), "failed") << error;
      wrong = false;
      const bool again = co_await until([&] { return server.connections == 2 && store.available(); });
      EXPECT_TRUE(again) << error;
      answered = co_await take(store, five_a_minute, "client");
      EXPECT_EQ(in_words(answered), "allowed") << error;
      store.stop();
      co_await server.stop();
    });
  }
}

TEST(RedisNodeErrors, others_leave_the_connection_until_there_are_too_many) {
  for (const char* error : {"-OOM command not allowed", "-BUSY Redis is busy", "-ERR odd", "-NOPERM this user", "-MOVED 1 127.0.0.1:1",
                            "-CLUSTERDOWN Hash slot not served", "-NOAUTH Authentication required."}) {
    testing::World world;
    FakeRedis server(world.loop);
    bool wrong = true;
    server.script = [&](const Words& words) { return is_probe(words) || !wrong ? grant_text() : std::string(error) + "\r\n"; };
    world.run_with(patient_options(server.address()), [&](RedisStore& store) -> Task<void> {
      for (int i = 0; i < 2; ++i) {
        const auto failed = co_await take(store, five_a_minute, "client");
        EXPECT_EQ(in_words(failed), "failed") << error;
      }
      wrong = false;
      auto answered = co_await take(store, five_a_minute, "client");
      EXPECT_EQ(in_words(answered), "allowed") << error;
      EXPECT_EQ(server.connections, 1) << error;
      wrong = true;
      for (int i = 0; i < 3; ++i) answered = co_await take(store, five_a_minute, "client");
      EXPECT_EQ(in_words(answered), "failed") << error;
      answered = co_await take(store, five_a_minute, "client");
      EXPECT_EQ(in_words(answered), "away") << error;
      store.stop();
      co_await server.stop();
    });
  }
}

TEST_F(RedisNodeTest, a_server_that_is_no_redis_is_never_asked) {
  fake.script = [](const Words&) { return std::string("+PONG\r\n"); };
  run_with(options(), [&](RedisStore& store) -> Task<void> {
    const bool open = co_await until([&] { return counters.nodes_open.value() == 1; });
    EXPECT_TRUE(open);
    const auto refused = co_await take(store, five_a_minute, "client");
    EXPECT_EQ(in_words(refused), "away");
    EXPECT_EQ(counters.connects.value(), 0U);
    store.stop();
    co_await fake.stop();
  });
}

TEST_F(RedisNodeTest, what_does_not_fit_into_the_socket_is_sent_when_it_does) {
  RedisOptions with = options();
  with.timeout = 60s;  // so many answers take a checked build some seconds
  ask(with, [&](RedisStore& store) -> Task<void> {
    // More than loopback's buffers hold at once.
    const limit::Rule& rule = five_a_minute;
    const std::string key(150, 'k');
    std::vector<Asked> asked(9000, Asked{.demand = {.rule = &rule, .limit = "test", .key = key}});
    co_await store.take(asked);
    for (const Asked& each : asked) EXPECT_EQ(in_words(each.answer), "allowed");
  });
}

}  // namespace node_test
}  // namespace steelyard::quota
