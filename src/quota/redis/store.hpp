// Limits that several processes count together, in Redis. One for each worker, on its thread, over one pipelined connection to each Redis.
//
// How it is used: make it with the worker's Connector, start() it with the worker and stop() it at the end; it may be destroyed when
// running() is false. A request's fiber asks:
//
//   Asked asked[] = {{{.rule = &rule, .limit = "per-client", .key = client}}};
//   co_await store.take(asked);
//   if (!asked[0].answer) …  // Unavailable: the limit's policy decides (let pass, refuse, count here)
//   else if (!asked[0].answer->verdict.allowed) …
//
// All limits of one request go in one take(): one round trip. Where one of them refuses, what the others have taken is given back with
// give_back(). It waits at most options.timeout, and not beyond the fiber's own deadline. It never throws and never logs for a request.
//
// token_bucket, fixed_window and sliding_window only. Decisions on one key are exact over all processes: Redis runs the script
// (script.hpp) on one after the other, by its own clock.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <string_view>

#include "decide/limit/rule.hpp"
#include "net/stream.hpp"
#include "quota/redis/counters.hpp"
#include "quota/redis/options.hpp"
#include "runtime/task.hpp"

namespace steelyard::tls {
class ClientContext;
}

namespace steelyard::quota {

// Why there is no verdict. The log has said it in words, once.
enum class Unavailable : std::uint8_t {
  away,        // it was not asked: it is known not to answer (the breaker is open), or there is no connection to it
  timed_out,   // no answer within options.timeout or the fiber's deadline; it may have counted
  failed,      // it answered with an error, or the connection broke; it may have counted
  overloaded,  // it was not asked: in_flight_max decisions are under way
  cancelled,   // the asking fiber was; it may have counted
  stopped,     // the store was not started, or is being stopped
};
[[nodiscard]] std::string_view name(Unavailable why);

// What is asked. What it refers to must live as long as take().
struct Demand {
  const limit::Rule* rule = nullptr;
  std::string_view limit{};  // name of the limit: letters, digits, '.', '_' and '-'
  std::string_view key{};    // any bytes
  std::uint64_t cost = 1;
  // So many tokens more are taken ahead, as far as there are any, to be spent without asking. 0: exact.
  std::uint64_t lease = 0;
};

struct Grant {
  limit::Verdict verdict{};   // `remaining` is after what was granted
  std::uint64_t granted = 0;  // tokens beyond `cost`
  Duration good_for{0};       // how long these may be spent: at most 1 s, of fixed_window not beyond the window's end
  std::uint64_t mark = 0;     // of the moment or window in which it was taken, for give_back()
};

struct Asked {
  Demand demand{};
  std::expected<Grant, Unavailable> answer = std::unexpected(Unavailable::stopped);
};

struct LinkSetting;
class RedisNodes;

class RedisStore {
 public:
  // `connector` and `counters` outlive it. `tls` belongs to options.tls and may be shared by all workers; nullptr where that is not set.
  // `seed` is for the jitter of retries.
  RedisStore(Connector& connector, RedisOptions options, std::shared_ptr<const tls::ClientContext> tls, RedisCounters& counters,
             std::uint64_t seed);
  RedisStore(const RedisStore&) = delete;
  RedisStore& operator=(const RedisStore&) = delete;
  ~RedisStore();

  // Connects from now on, in the background, for as long as it runs.
  void start();
  // Who waits is told `stopped`. It has ended when running() is false, after the scheduler has run what is ready.
  void stop();
  [[nodiscard]] bool running() const;
  [[nodiscard]] Scheduler& scheduler() const;
  // A Redis can be asked now (of a Cluster: any node).
  [[nodiscard]] bool available() const;

  // Fills each answer.
  Task<void> take(std::span<Asked> asked);
  // Undoes what `grant` has taken for `demand`, without waiting for it. What was taken in a window that has passed, or has been refilled
  // since, stays taken: this never makes room that was not taken. `tokens`: how many of cost and granted.
  void give_back(const Demand& demand, const Grant& grant, std::uint64_t tokens);

 private:
  class Round;
  const RedisOptions options_;
  const std::shared_ptr<const tls::ClientContext> tls_;
  const std::unique_ptr<const LinkSetting> setting_;
  RedisCounters& counters_;
  const std::unique_ptr<RedisNodes> nodes_;
};

}  // namespace steelyard::quota
