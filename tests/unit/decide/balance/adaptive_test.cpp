// The promise of adaptive: its tail beside that of least connections over the same arrivals and the same work, in simulated time. The
// bounds are those that the bench beside other proxies is held to.
#include "decide/balance/adaptive.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "decide/balance/fastest.hpp"
#include "support/simulated_pool.hpp"

namespace steelyard::balance {
namespace adaptive_test {

using simulated::Outcome;
using simulated::percentile;
using simulated::Policy;
using simulated::Scenario;
using simulated::ServerModel;
using simulated::SimulatedView;
using simulated::Simulation;

constexpr double served_per_s = 400;  // by one server of speed 1: four slots, 10 ms each

class LeastConnections final : public Policy {
 public:
  LeastConnections() : Policy(false) {}
  std::optional<std::size_t> pick(const SimulatedView& view, Instant /*now*/, std::size_t /*worker*/) override {
    std::optional<std::size_t> best;
    for (std::size_t k = 0; k < view.size(); ++k) {
      const std::size_t i = (cursor_ + k) % view.size();
      if (view.may_take(i) && (!best || view.active(i) < view.active(*best))) best = i;
    }
    if (best) cursor_ = *best + 1;
    return best;
  }

 private:
  std::size_t cursor_ = 0;
};

class Adaptive final : public Policy {
 public:
  explicit Adaptive(const Scenario& scenario)
      : Policy(true), schedule_(smooth_schedule(std::vector<std::uint32_t>(scenario.servers.size(), 1))), memories_(scenario.workers) {
    for (std::size_t i = 0; i < scenario.workers; ++i) prngs_.emplace_back(100 + i);
  }
  std::optional<std::size_t> pick(const SimulatedView& view, Instant now, std::size_t worker) override {
    return pick_adaptive(schedule_, prngs_[worker], memories_[worker], view, now);
  }

 private:
  Schedule schedule_;
  std::vector<AdaptiveMemory> memories_;
  std::vector<Prng> prngs_;
};

// Of several seeds, all together.
template <typename Make>
Outcome run(const Scenario& scenario, Make make) {
  Outcome sum;
  constexpr std::uint64_t seeds = 3;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    const auto policy = make();
    Outcome one = Simulation(scenario, *policy, seed).run();
    sum.latencies_ms.insert(sum.latencies_ms.end(), one.latencies_ms.begin(), one.latencies_ms.end());
    sum.excess_ms.insert(sum.excess_ms.end(), one.excess_ms.begin(), one.excess_ms.end());
    sum.requests += one.requests;
    sum.errors += one.errors;
    sum.odd_share += one.odd_share / seeds;
  }
  return sum;
}

struct Compared {
  explicit Compared(Scenario scenario) {
    scenario.lasts = 20s;
    adaptive = run(scenario, [&] { return std::make_unique<Adaptive>(scenario); });
    least = run(scenario, [] { return std::make_unique<LeastConnections>(); });
  }
  double p99() { return percentile(adaptive.latencies_ms, 0.99) / percentile(least.latencies_ms, 0.99); }
  double p999() { return percentile(adaptive.latencies_ms, 0.999) / percentile(least.latencies_ms, 0.999); }
  double excess_p99() { return percentile(adaptive.excess_ms, 0.99) / percentile(least.excess_ms, 0.99); }

  Outcome adaptive;
  Outcome least;
};

Scenario with_odd_one(std::size_t count, const ServerModel& odd, double load) {
  Scenario scenario;
  scenario.servers.resize(count);
  scenario.servers[0] = odd;
  double speeds = 0;
  for (const ServerModel& server : scenario.servers) speeds += server.speed;
  scenario.rate = load * served_per_s * speeds;
  return scenario;
}

TEST(Adaptive, of_equal_servers_the_load_alone_decides) {
  for (const std::size_t count : {3UZ, 10UZ}) {
    Compared compared(with_odd_one(count, {}, 0.8));
    EXPECT_LE(compared.p99(), 1.02) << count;
    EXPECT_LE(compared.excess_p99(), 1.05) << count;
  }
}

TEST(Adaptive, two_workers_do_as_well_as_one) {
  Scenario scenario = with_odd_one(10, {.speed = 0.2}, 0.6);
  scenario.workers = 2;
  Compared compared(scenario);
  EXPECT_LE(compared.p99(), 0.80);
  EXPECT_LE(compared.p999(), 0.60);
}

TEST(Adaptive, fast_servers_get_more_than_slow_ones) {
  Scenario scenario;
  for (std::size_t i = 0; i < 10; ++i) scenario.servers.push_back({.speed = i % 3 == 0 ? 0.5 : i % 3 == 1 ? 1.0 : 2.0});
  scenario.rate = 0.75 * served_per_s * (4 * 0.5 + 3 * 1.0 + 3 * 2.0);
  Compared compared(scenario);
  EXPECT_LE(compared.p99(), 0.80);
}

TEST(Adaptive, a_slow_server_spoils_no_tail_but_is_tried_now_and_then) {
  Compared compared(with_odd_one(10, {.speed = 0.2}, 0.6));
  EXPECT_LE(compared.p99(), 0.80);
  EXPECT_LE(compared.p999(), 0.60);
  Scenario distant = with_odd_one(3, {.slots = 1000, .added = 50ms}, 0);
  for (ServerModel& server : distant.servers) server.slots = 1000;
  distant.mean_work = 100us;
  distant.rate = 4000;
  distant.lasts = 40s;
  Outcome outcome = run(distant, [&] { return std::make_unique<Adaptive>(distant); });
  EXPECT_LE(percentile(outcome.latencies_ms, 0.99), 5.0);
  EXPECT_LT(outcome.odd_share, 0.005);
  EXPECT_GT(outcome.odd_share, 0.0);
}

TEST(Adaptive, a_stall_is_noticed_while_it_lasts) {
  Compared compared(with_odd_one(10, {.stall_every = 3s, .stall_lasts = 500ms}, 0.6));
  EXPECT_LE(compared.p999(), 0.97);
}

TEST(Adaptive, a_server_that_fails_fast_gets_next_to_nothing_even_where_nobody_ejects_it) {
  Scenario scenario = with_odd_one(10, {.fails_fast = true}, 0.6);
  Compared with_ejection(scenario);
  EXPECT_LE(with_ejection.adaptive.errors_share(), 0.001);
  scenario.ejection = false;
  Compared without(scenario);
  EXPECT_LE(without.adaptive.errors_share(), 0.01);
  EXPECT_GE(without.least.errors_share(), 0.1) << "the simulation itself: load alone is fooled";
}

TEST(Adaptive, a_hundred_servers_of_which_only_a_few_are_looked_at) {
  Scenario scenario = with_odd_one(100, {.speed = 0.2}, 0.6);
  for (std::size_t i = 0; i < scenario.servers.size(); i += 10) scenario.servers[i].speed = 0.2;
  scenario.rate = 0.6 * served_per_s * (90 + 10 * 0.2);
  scenario.lasts = 5s;
  Outcome adaptive = run(scenario, [&] { return std::make_unique<Adaptive>(scenario); });
  Outcome least = run(scenario, [] { return std::make_unique<LeastConnections>(); });
  EXPECT_LE(percentile(adaptive.latencies_ms, 0.99), 0.80 * percentile(least.latencies_ms, 0.99));
}

class FastestPolicy final : public Policy {
 public:
  explicit FastestPolicy(std::size_t servers) : Policy(true), schedule_(smooth_schedule(std::vector<std::uint32_t>(servers, 1))) {}
  std::optional<std::size_t> pick(const SimulatedView& view, Instant now, std::size_t /*worker*/) override {
    return pick_fastest(schedule_, prng_, view, now);
  }

 private:
  Schedule schedule_;
  Prng prng_{1};
};

TEST(Fastest, keeps_away_from_a_slow_server) {
  const Scenario scenario = with_odd_one(10, {.speed = 0.2}, 0.6);
  const Outcome outcome = run(scenario, [&] { return std::make_unique<FastestPolicy>(10); });
  EXPECT_LT(outcome.odd_share, 0.03) << "its share would be 0.1";
  EXPECT_GT(outcome.odd_share, 0.0);
}

}  // namespace adaptive_test
}  // namespace steelyard::balance
