// What a limit costs where it is counted in the process: nanoseconds per request of each kind, for one key that all ask for, for a
// million keys at random, and for keys that come once and never again (the flood of an attacker, into a table that is full). With two
// threads it is the time that each of them needs for one of its own requests. The rest of what a proxy does, which leaves less of a
// table in the nearest caches, is not in it.
#include <fmt/core.h>
#include <time.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "base/prng.hpp"
#include "quota/lease_table.hpp"
#include "quota/local_table.hpp"
#include "quota/top_keys.hpp"

namespace {

using namespace steelyard;
using limit::Kind;
using limit::Rule;

constexpr std::uint64_t many_keys = 1'000'000;
constexpr Instant start{1'000'000'000};

double cpu_ns() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

// Nanoseconds per call of `work(i)` on each of the threads, which begin together; `work` is made once for each.
template <typename MakeWork>
double ns_per_call(int thread_count, std::uint64_t calls, MakeWork make_work) {
  std::atomic<int> waiting{thread_count};
  std::atomic<double> sum_ns{0};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < thread_count; ++thread) {
    threads.emplace_back([&, thread] {
      auto work = make_work(thread);
      waiting.fetch_sub(1);
      while (waiting.load() != 0) std::this_thread::yield();
      const double begin = cpu_ns();
      for (std::uint64_t i = 0; i < calls; ++i) work(i);
      sum_ns.fetch_add((cpu_ns() - begin) / static_cast<double>(calls));
    });
  }
  for (std::thread& thread : threads) thread.join();
  return sum_ns.load() / thread_count;
}

// A request each 100 ns, far below the limit unless the rule is for refusing.
double one_key(const Rule& rule, int threads) {
  quota::LocalTable table(many_keys, 1);
  return ns_per_call(threads, 2'000'000, [&](int) {
    return [&, key = table.hash("192.0.2.1")](std::uint64_t i) {
      const Instant now = start + Duration{static_cast<std::int64_t>(i) * 100};
      const limit::Verdict verdict = table.take(rule, key, now);
      if (verdict.allowed && rule.kind == Kind::concurrent) table.give_back(rule, key, now);
    };
  });
}

double all_keys(const Rule& rule, int threads) {
  quota::LocalTable table(many_keys, 1);
  for (std::uint64_t key = 0; key < many_keys; ++key) table.take(rule, Prng(key).next(), start);
  return ns_per_call(threads, 2'000'000, [&](int thread) {
    return [&, chance = Prng(static_cast<std::uint64_t>(thread))](std::uint64_t i) mutable {
      const Instant now = start + Duration{static_cast<std::int64_t>(i) * 100};
      const std::uint64_t key = Prng(chance.below(many_keys)).next();
      const limit::Verdict verdict = table.take(rule, key, now);
      if (verdict.allowed && rule.kind == Kind::concurrent) table.give_back(rule, key, now);
    };
  });
}

// Ten million keys through a table for `keys_max`.
double flood(const Rule& rule, int threads, std::size_t keys_max) {
  quota::LocalTable table(keys_max, 1);
  return ns_per_call(threads, 10'000'000 / static_cast<std::uint64_t>(threads), [&](int thread) {
    return [&, chance = Prng(static_cast<std::uint64_t>(thread) + 100)](std::uint64_t i) mutable {
      const Instant now = start + Duration{static_cast<std::int64_t>(i) * 100};
      const std::uint64_t key = chance.next();
      const limit::Verdict verdict = table.take(rule, key, now);
      if (verdict.allowed && rule.kind == Kind::concurrent) table.give_back(rule, key, now);
    };
  });
}

void print_share_without_room() {
  quota::LocalTable table(many_keys, 1);
  const Rule rule{.kind = Kind::fixed_window, .count = 5, .period = 60s};
  for (std::uint64_t key = 0; key < many_keys; ++key) table.take(rule, Prng(key).next(), start);
  fmt::print("of {} keys in a table for as many, in {} MiB, {:.2f} % gave way\n", many_keys, table.bytes() >> 20U,
             100.0 * static_cast<double>(table.evicted()) / static_cast<double>(many_keys));
}

void print_others() {
  const KeyedHash hash(1);
  const std::string key = "2001:db8:1234:5678::";
  std::uint64_t sum = 0;
  fmt::print("hash of 20 bytes: {:.1f} ns\n", ns_per_call(1, 5'000'000, [&](int) { return [&](std::uint64_t) { sum += hash(key); }; }));
  quota::LeaseTable leases(many_keys, 1);
  leases.grant(hash(key), start, quota::LeaseTable::tokens_max, start + 1s);
  fmt::print("take out of a lease: {:.1f} ns\n",
             ns_per_call(1, 5'000'000, [&](int) { return [&](std::uint64_t) { sum += leases.take(hash(key), start)->remaining; }; }));
  quota::TopKeys top;
  fmt::print("refusal into the sketch, new key: {:.1f} ns",
             ns_per_call(1, 1'000'000, [&](int) { return [&](std::uint64_t i) { top.add(key, i); }; }));
  fmt::print(", known key: {:.1f} ns\n", ns_per_call(1, 1'000'000, [&](int) { return [&](std::uint64_t) { top.add(key, 1); }; }));
  if (sum == 0) fmt::print("\n");
}

}  // namespace

int main() {
  constexpr std::uint64_t plenty = 1'000'000'000;
  const std::pair<const char*, Rule> rules[] = {
      {"token_bucket", {.kind = Kind::token_bucket, .count = plenty, .period = 60s, .burst = plenty}},
      {"token_bucket, refused", {.kind = Kind::token_bucket, .count = 1, .period = 3600s, .burst = 1}},
      {"fixed_window", {.kind = Kind::fixed_window, .count = plenty, .period = 60s}},
      {"fixed_window, refused", {.kind = Kind::fixed_window, .count = 1, .period = 3600s}},
      {"sliding_window", {.kind = Kind::sliding_window, .count = plenty, .period = 3600s}},
      {"sliding_window, refused", {.kind = Kind::sliding_window, .count = 1, .period = 3600s}},
      {"concurrent, and back", {.kind = Kind::concurrent, .count = plenty}},
      {"bandwidth", {.kind = Kind::bandwidth, .count = plenty, .period = 1s, .burst = plenty}},
  };
  fmt::print("{:<26}{:>12}{:>12}{:>12}{:>12}{:>14}{:>14}\n", "ns per request", "1 key", "2 threads", "1M keys", "2 threads", "flood, 1M",
             "2 threads");
  for (const auto& [name, rule] : rules) {
    fmt::print("{:<26}{:>12.1f}{:>12.1f}{:>12.1f}{:>12.1f}{:>14.1f}{:>14.1f}\n", name, one_key(rule, 1), one_key(rule, 2),
               all_keys(rule, 1), all_keys(rule, 2), flood(rule, 1, many_keys), flood(rule, 2, many_keys));
  }
  print_share_without_room();
  print_others();
}
