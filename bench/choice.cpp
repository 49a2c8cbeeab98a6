// What the choice of a server costs: nanoseconds per pick of each balancing algorithm, by the number of servers. Servers lie in
// memory as in the product, each an object of its own that is reached by a pointer; exchanges begin with each pick and end at
// random, so that loads move as they would. One thread: what workers cost each other is not in it, and neither is what a proxy
// does between two picks, which leaves less of all this in the nearest caches.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/prng.hpp"
#include "decide/balance/adaptive.hpp"
#include "decide/balance/fastest.hpp"
#include "decide/balance/hash.hpp"
#include "decide/balance/ip_hash.hpp"
#include "decide/balance/least_connections.hpp"
#include "decide/balance/random.hpp"
#include "decide/balance/round_robin.hpp"

namespace {

using namespace steelyard;
using namespace steelyard::balance;

constexpr std::size_t server_counts[] = {3, 10, 100, 1'000, 10'000};
constexpr std::uint64_t active_mean = 8;
constexpr int picks_per_round = 64;
constexpr int rounds = 4'000;
constexpr int rounds_to_warm_up = 400;

struct alignas(64) BenchServer {
  std::atomic<std::uint32_t> active{0};
  std::atomic<std::uint32_t> weight{1};
  std::atomic<bool> up{true};
  Estimate estimate;
  std::array<std::byte, 320> rest{};  // what else a server is, and no pick looks at
};

struct BenchView {
  const std::vector<std::unique_ptr<BenchServer>>& servers;

  [[nodiscard]] std::size_t size() const { return servers.size(); }
  [[nodiscard]] std::uint32_t weight(std::size_t i) const { return servers[i]->weight.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint32_t active(std::size_t i) const { return servers[i]->active.load(std::memory_order_relaxed); }
  [[nodiscard]] const Estimate& estimate(std::size_t i) const { return servers[i]->estimate; }
  [[nodiscard]] bool may_take(std::size_t i) const { return servers[i]->up.load(std::memory_order_relaxed); }
};

// A pool under load: servers with weights from 1 to 4, each with about active_mean exchanges for its weight.
class World {
 public:
  explicit World(std::size_t count) {
    std::vector<std::uint32_t> weights;
    for (std::size_t i = 0; i < count; ++i) {
      weights.push_back(static_cast<std::uint32_t>(1 + chance.below(4)));
      hashed.push_back({hash_id(fmt::format("server-{}", i)), weights.back()});
      servers_.push_back(std::make_unique<BenchServer>());
      servers_.back()->weight = weights.back();
      servers_.back()->estimate.on_answer(Duration(1'000'000 + static_cast<std::int64_t>(chance.below(9'000'000))), 1, now);
      weight_sum += weights.back();
    }
    bound.weight = weight_sum;
    schedule = smooth_schedule(weights);
    for (std::size_t i = 0; i < weight_sum * active_mean; ++i) begin(schedule.turns[chance.below(schedule.turns.size())]);
  }

  void begin(std::size_t server) {
    servers_[server]->active.fetch_add(1, std::memory_order_relaxed);
    started_.push_back(static_cast<std::uint32_t>(server));
    bound.active = started_.size();
  }
  // As many exchanges end as have begun beyond the mean, whichever.
  void settle() {
    while (started_.size() > weight_sum * active_mean) {
      std::swap(started_[chance.below(started_.size())], started_.back());
      servers_[started_.back()]->active.fetch_sub(1, std::memory_order_relaxed);
      started_.pop_back();
    }
  }

  [[nodiscard]] BenchView view() const { return {servers_}; }

  Prng chance{1};
  Instant now{1'000'000'000};
  Schedule schedule;
  std::vector<HashedServer> hashed;
  std::uint64_t weight_sum = 0;
  LoadBound bound;
  std::atomic<std::uint64_t> cursor{0};

 private:
  std::vector<std::unique_ptr<BenchServer>> servers_;
  std::vector<std::uint32_t> started_;
};

// Median over rounds of the nanoseconds that a pick takes, the start of its exchange included.
template <typename Pick>
double median_ns(World& world, Pick pick) {
  std::vector<double> times;
  for (int round = -rounds_to_warm_up; round < rounds; ++round) {
    world.settle();
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < picks_per_round; ++i) {
      if (const auto server = pick(world.view())) world.begin(*server);
    }
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - start;
    if (round >= 0) times.push_back(took.count() / picks_per_round);
  }
  std::ranges::nth_element(times, times.begin() + rounds / 2);
  return times[rounds / 2];
}

// A busy worker; what is worked out only every so often is part of the figure.
constexpr Duration pick_interval = 10us;

using Measure = std::function<double(World&)>;

// One line for each algorithm: what it needs besides the world, and its pick.
const std::vector<std::pair<std::string, Measure>> algorithms{
    {"nothing",
     [](World& world) { return median_ns(world, [&](BenchView view) { return std::optional(world.chance.below(view.size())); }); }},
    {"round_robin",
     [](World& world) { return median_ns(world, [&](BenchView view) { return pick_round_robin(world.schedule, world.cursor, view); }); }},
    {"random",
     [](World& world) { return median_ns(world, [&](BenchView view) { return pick_random(world.schedule, world.chance, view); }); }},
    {"least_connections",
     [](World& world) {
       LeastConnectionsMemory memory;
       return median_ns(world, [&](BenchView view) { return pick_least_connections(world.schedule, world.cursor, memory, view); });
     }},
    {"ip_hash",
     [](World& world) {
       const RendezvousTable table(world.hashed);
       return median_ns(world, [&](BenchView view) { return pick_ip_hash(table, world.chance.next(), view); });
     }},
    {"hash",
     [](World& world) {
       const MaglevTable table(world.hashed);
       return median_ns(world, [&](BenchView view) { return pick_hash(table, world.chance.next(), world.bound, view); });
     }},
    {"fastest",
     [](World& world) {
       Instant now{0};
       return median_ns(world, [&](BenchView view) { return pick_fastest(world.schedule, world.chance, view, now = now + pick_interval); });
     }},
    {"adaptive",
     [](World& world) {
       AdaptiveMemory memory;
       Instant now{0};
       return median_ns(
           world, [&](BenchView view) { return pick_adaptive(world.schedule, world.chance, memory, view, now = now + pick_interval); });
     }},
};

template <typename Table>
double build_ms(const World& world) {
  std::vector<double> times;
  for (int round = 0; round < 9; ++round) {
    const auto start = std::chrono::steady_clock::now();
    const Table table(world.hashed);
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    times.push_back(took.count());
  }
  std::ranges::nth_element(times, times.begin() + 4);
  return times[4];
}

template <typename Value>
void print_row(const std::string& name, Value value_for) {
  fmt::print("{:<24}", name);
  for (const std::size_t count : server_counts) fmt::print("{:>10.1f}", value_for(count));
  fmt::print("\n");
}

}  // namespace

int main() {
  fmt::print("{:<24}", "servers");
  for (const std::size_t count : server_counts) fmt::print("{:>10}", count);
  fmt::print("\n");
  for (const auto& [name, measure] : algorithms) {
    print_row(name + " ns", [&](std::size_t count) {
      World world(count);
      return measure(world);
    });
  }
  print_row("build ip_hash ms", [](std::size_t count) { return build_ms<RendezvousTable>(World(count)); });
  print_row("build hash ms", [](std::size_t count) { return build_ms<MaglevTable>(World(count)); });
}
