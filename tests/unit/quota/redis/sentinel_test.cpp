// The master that Sentinels name: a real failover, and Sentinels that are away, hang or know nothing.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "quota/redis/fake_redis.hpp"
#include "quota/redis/fixture.hpp"
#include "support/redis_server.hpp"

namespace steelyard::quota {
namespace sentinel_test {

using testing::FakeRedis;
using testing::five_a_minute;
using testing::grant_text;
using testing::in_words;
using testing::patient_options;
using testing::take;
using testing::until;
using testing::Words;
using testing_support::ChildProcess;
using testing_support::RedisServer;

// One Sentinel that decides alone, and quickly.
class Sentinel {
 public:
  explicit Sentinel(const SocketAddress& master) {
    std::string pattern = std::filesystem::temp_directory_path() / "steelyard-sentinel-XXXXXX";
    folder_ = mkdtemp(pattern.data());
    const std::string file = folder_ + "/sentinel.conf";
    std::ofstream(file) << fmt::format(
        "bind 127.0.0.1\nport {}\ndir {}\nrequirepass guard\nsentinel monitor main 127.0.0.1 {} 1\n"
        "sentinel down-after-milliseconds main 300\nsentinel failover-timeout main 2000\n",
        address_.port, folder_, master.port);
    process_ = std::make_unique<ChildProcess>(std::vector<std::string>{"redis-sentinel", file});
    EXPECT_TRUE(process_->wait_for_output("+monitor master main")) << process_->said();
  }
  ~Sentinel() {
    process_.reset();
    std::filesystem::remove_all(folder_);
  }
  [[nodiscard]] const SocketAddress& address() const { return address_; }
  bool wait_for(std::string_view event) { return process_->wait_for_output(event); }

 private:
  SocketAddress address_ = testing_support::free_address();
  std::string folder_;
  std::unique_ptr<ChildProcess> process_;
};

TEST(RedisSentinel, after_a_failover_the_new_master_is_asked) {
  SKIP_WITHOUT("redis-server");
  SKIP_WITHOUT("redis-sentinel");
  RedisServer master({"--repl-diskless-sync-delay", "0"});
  RedisServer replica({"--replicaof", fmt::format("127.0.0.1 {}", master.address().port)});
  EXPECT_TRUE(replica.wait_for("Finished with success"));
  Sentinel sentinel(master.address());
  RedisOptions options = patient_options(sentinel.address());
  options.mode = RedisMode::sentinel;
  options.master_name = "main";
  options.sentinel_login.password = "guard";
  // One that is not there, before it.
  options.addresses.insert(options.addresses.begin(), testing_support::free_address());
  testing::World world;
  world.run_with(options, [&](RedisStore& store) -> Task<void> {
    auto answer = co_await take(store, five_a_minute, "client", 4);
    EXPECT_EQ(in_words(answer), "allowed");
    EXPECT_EQ(master.ask({"EXISTS", "steelyard:test:client"}).integer, 1);
    EXPECT_TRUE(sentinel.wait_for("+slave slave"));
    const bool copied = co_await until([&] { return replica.ask({"EXISTS", "steelyard:test:client"}).integer == 1; });
    EXPECT_TRUE(copied);
    master.kill();
    const bool open = co_await until([&] { return world.counters.nodes_open.value() == 1; });
    EXPECT_TRUE(open);
    const bool back = co_await until([&] { return store.available(); });
    EXPECT_TRUE(back);
    answer = co_await take(store, five_a_minute, "client");
    EXPECT_EQ(in_words(answer), "allowed");
    EXPECT_EQ(answer ? answer->verdict.remaining : 9, 0U);  // what was counted at the old one is known
  });
}

struct ScriptedSentinel : ::testing::Test, testing::World {
  FakeRedis sentinel{loop};
  FakeRedis redis{loop};
  RedisOptions options = patient_options(sentinel.address());

  void SetUp() override {
    options.mode = RedisMode::sentinel;
    options.master_name = "main";
  }
  [[nodiscard]] static std::string place(const SocketAddress& at) { return resp::command({at.ip.to_string(), std::to_string(at.port)}); }
  void ask(std::function<Task<void>(RedisStore&)> work) {
    run_with(options, [&](RedisStore& store) -> Task<void> {
      co_await work(store);
      store.stop();
      co_await sentinel.stop();
      co_await redis.stop();
    });
  }
};

TEST_F(ScriptedSentinel, is_asked_for_the_master_by_its_name) {
  sentinel.script = [&](const Words& words) {
    EXPECT_EQ(words, (Words{"SENTINEL", "get-master-addr-by-name", "main"}));
    return place(redis.address());
  };
  ask([&](RedisStore& store) -> Task<void> {
    const auto answer = co_await take(store, five_a_minute, "client");
    EXPECT_EQ(in_words(answer), "allowed");
  });
}

TEST_F(ScriptedSentinel, one_that_knows_no_such_master_or_says_nonsense_leads_nowhere) {
  const std::vector<std::string> replies = {"*-1\r\n",
                                            "$-1\r\n",
                                            "+OK\r\n",
                                            "*1\r\n$9\r\n127.0.0.1\r\n",
                                            "*2\r\n$9\r\n127.0.0.1\r\n$1\r\n0\r\n",
                                            "*2\r\n$9\r\n127.0.0.1\r\n$5\r\n99999\r\n",
                                            "*2\r\n$10\r\nredis.test\r\n$4\r\n6379\r\n",
                                            "-NOAUTH Authentication required.\r\n",
                                            "$-5\r\n"};
  std::size_t asked = 0;
  sentinel.script = [&](const Words&) { return replies.at(asked++ % replies.size()); };
  ask([&](RedisStore& store) -> Task<void> {
    const bool through = co_await until([&] { return asked > replies.size(); });
    EXPECT_TRUE(through);
    EXPECT_FALSE(store.available());
    const auto answer = co_await take(store, five_a_minute, "client");
    EXPECT_EQ(in_words(answer), "away");
  });
  EXPECT_EQ(redis.connections, 0);
}

TEST_F(ScriptedSentinel, one_that_hangs_leaves_time_for_the_others) {
  FakeRedis hanging(loop);
  hanging.script = [](const Words&) { return std::string(); };
  sentinel.script = [&](const Words&) { return place(redis.address()); };
  options.addresses.insert(options.addresses.begin(), hanging.address());
  options.connect_timeout = 60ms;
  ask([&](RedisStore& store) -> Task<void> {
    const bool available = co_await until([&] { return store.available(); });
    EXPECT_TRUE(available);
    EXPECT_GE(hanging.connections, 1);
    co_await hanging.stop();
  });
}

// As while a failover is under way: the Sentinel already names a replica that is not a master yet.
TEST_F(ScriptedSentinel, is_asked_again_when_who_it_named_takes_no_writes) {
  FakeRedis other(loop);
  other.script = [](const Words&) { return std::string("-READONLY You can't write against a read only replica.\r\n"); };
  int asked = 0;
  sentinel.script = [&](const Words&) { return place(++asked < 5 ? other.address() : redis.address()); };
  ask([&](RedisStore& store) -> Task<void> {
    const bool available = co_await until([&] { return store.available(); });
    EXPECT_TRUE(available);
    EXPECT_EQ(asked, 5);
    co_await other.stop();
  });
}

}  // namespace sentinel_test
}  // namespace steelyard::quota
