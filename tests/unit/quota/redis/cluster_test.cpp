// A real Cluster of three nodes, whose slots move while it is asked.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "quota/redis/fixture.hpp"
#include "quota/redis/slot.hpp"
#include "support/redis_server.hpp"

namespace steelyard::quota {
namespace cluster_test {

using testing::in_words;
using testing::patient_options;
using testing::take;
using testing::until;
using testing_support::RedisServer;

constexpr limit::Rule one_an_hour{.kind = limit::Kind::fixed_window, .count = 1, .period = 3600s};
constexpr int keys = 100;

std::string key(int i) { return "client-" + std::to_string(i); }
std::string name_of(int i) { return "steelyard:test:" + key(i); }
std::string slot_text(int i) { return std::to_string(slot_of(name_of(i))); }

struct RedisCluster : ::testing::Test, testing::World {
  std::vector<std::unique_ptr<RedisServer>> nodes;
  RedisOptions options;

  void SetUp() override {
    SKIP_WITHOUT("redis-server");
    for (std::size_t i = 0; i < 3; ++i) {
      // The port of its bus is the ordinary one and 10 000, unless it is told.
      const std::string bus = std::to_string(testing_support::free_address().port);
      buses_.push_back(bus);
      files_.push_back("steelyard-nodes-" + bus + ".conf");
      nodes.push_back(std::make_unique<RedisServer>(
          std::vector<std::string>{"--cluster-enabled", "yes", "--cluster-config-file", files_.back(), "--cluster-port", bus}));
    }
    for (std::size_t i = 0; i < 3; ++i) assign(i, static_cast<int>(i) * 5461, i == 2 ? 16'383 : static_cast<int>(i + 1) * 5461 - 1);
    for (std::size_t i = 1; i < 3; ++i) nodes[0]->ask({"CLUSTER", "MEET", "127.0.0.1", port(i), buses_[i]});
    options = patient_options(nodes[0]->address());
    options.mode = RedisMode::cluster;
  }
  void TearDown() override {
    nodes.clear();
    for (const std::string& file : files_) unlink(("/tmp/" + file).c_str());
  }

  void assign(std::size_t node, int first, int last) {
    nodes[node]->ask({"CLUSTER", "ADDSLOTSRANGE", std::to_string(first), std::to_string(last)});
  }
  [[nodiscard]] std::string port(std::size_t node) const { return std::to_string(nodes[node]->address().port); }
  [[nodiscard]] std::string id(std::size_t node) const { return nodes[node]->ask({"CLUSTER", "MYID"}).text; }
  // That has the key by the slots as they were at first.
  static std::size_t first_owner(int i) { return std::min(slot_of(name_of(i)) / 5461, 2); }

  void ask(std::function<Task<void>(RedisStore&)> work) {
    run_with(options, [&](RedisStore& store) -> Task<void> {
      const bool up = co_await until([&] {
        return std::ranges::all_of(nodes,
                                   [](const auto& node) { return node->ask({"CLUSTER", "INFO"}).text.contains("cluster_state:ok"); });
      });
      EXPECT_TRUE(up);
      const bool known = co_await until([&] { return counters.nodes.value() == 3; });
      EXPECT_TRUE(known);
      co_await work(store);
    });
  }

 private:
  std::vector<std::string> buses_;
  std::vector<std::string> files_;
};

TEST_F(RedisCluster, each_key_is_counted_once_wherever_it_lies_and_wherever_it_goes) {
  ask([&](RedisStore& store) -> Task<void> {
    // Each key at the node that has its slot, without a redirect.
    for (int i = 0; i < keys; ++i) {
      const auto answer = co_await take(store, one_an_hour, key(i));
      EXPECT_EQ(in_words(answer), "allowed") << i;
      EXPECT_EQ(nodes[first_owner(i)]->ask({"EXISTS", name_of(i)}).integer, 1);
    }
    EXPECT_EQ(counters.redirects.value(), 0U);
    EXPECT_EQ(counters.nodes.value(), 3);

    // One slot is under way from its node to another: ASK. Its key has gone already.
    const std::size_t from = first_owner(0);
    const std::size_t to = (from + 1) % 3;
    nodes[to]->ask({"CLUSTER", "SETSLOT", slot_text(0), "IMPORTING", id(from)});
    nodes[from]->ask({"CLUSTER", "SETSLOT", slot_text(0), "MIGRATING", id(to)});
    const auto migrated = nodes[from]->ask({"MIGRATE", "127.0.0.1", port(to), name_of(0), "0", "5000"});
    EXPECT_EQ(migrated.text, "OK");
    auto answer = co_await take(store, one_an_hour, key(0));
    EXPECT_EQ(in_words(answer), "refused");
    EXPECT_EQ(counters.redirects.value(), 1U);

    // It has arrived: MOVED, once.
    for (const std::size_t node : {to, from}) nodes[node]->ask({"CLUSTER", "SETSLOT", slot_text(0), "NODE", id(to)});
    for (int i = 0; i < 5; ++i) {
      answer = co_await take(store, one_an_hour, key(0));
      EXPECT_EQ(in_words(answer), "refused");
    }
    EXPECT_EQ(counters.redirects.value(), 2U);
    EXPECT_EQ(counters.errors.value(), 0U);
  });
}

TEST_F(RedisCluster, a_node_that_goes_takes_its_keys_along_and_nobody_elses) {
  ask([&](RedisStore& store) -> Task<void> {
    for (std::size_t i = 0; i < 3; ++i) nodes[i]->ask({"CONFIG", "SET", "cluster-require-full-coverage", "no"});
    nodes[2]->kill();
    const bool open = co_await until([&] { return counters.nodes_open.value() == 1; });
    EXPECT_TRUE(open);
    for (int i = 0; i < keys; ++i) {
      const auto answer = co_await take(store, one_an_hour, key(i));
      EXPECT_EQ(in_words(answer), first_owner(i) == 2 ? "away" : "allowed") << i;
    }
    nodes[2]->start();
    const bool back = co_await until([&] { return counters.nodes.value() == 3; });
    EXPECT_TRUE(back);
  });
}

}  // namespace cluster_test
}  // namespace steelyard::quota
