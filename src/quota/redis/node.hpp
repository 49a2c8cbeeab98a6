// One Redis as a store sees it: finds out where it is, keeps a pipelined connection to it, and knows whether it is worth asking (the
// breaker). Commands of one turn of the loop go out in one write; replies are matched in order. It logs when Redis goes and when it comes
// back, never for a single command. Owned by the store, on its worker's thread.
#pragma once

#include <cstdint>
#include <deque>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/prng.hpp"
#include "quota/redis/counters.hpp"
#include "quota/redis/link.hpp"
#include "quota/redis/store.hpp"
#include "runtime/child.hpp"

namespace steelyard::quota {

// Who waits for one reply, of which it is told once, unless it is forgotten before. Must not destroy the node.
class Call {
 public:
  enum class Heard : std::uint8_t { good, failed, unexpected };
  // `failed`: an error that this can do nothing about. `unexpected`: this is no answer to what was asked, so nothing behind it can be
  // trusted either.
  virtual Heard on_reply(const resp::Reply& reply) = 0;
  virtual void on_lost(Unavailable why) = 0;

 protected:
  ~Call() = default;
};

// Where the Redis of a node is at the moment.
class Locator {
 public:
  virtual ~Locator() = default;
  // Waits as long as the fiber's deadline allows.
  virtual Task<Link::Outcome<SocketAddress>> locate() = 0;
  // What was located last did not serve.
  virtual void on_failure() = 0;
  // What it looks for, for messages.
  [[nodiscard]] virtual std::string name() const = 0;
};

class Node final : private Fiber::Owner {
 public:
  enum class Part : std::uint8_t { alone, of_cluster };

  Node(const LinkSetting& setting, std::unique_ptr<Locator> locator, Part part, RedisCounters& counters, std::uint64_t seed);
  ~Node();

  void start() { fiber_.start(run()); }
  void stop();
  [[nodiscard]] bool running() const { return fiber_.running(); }
  // It has answered its probe, and the connection stands.
  [[nodiscard]] bool serving() const { return serving_ && broken_.empty(); }
  // Known to be away: nobody should wait for it.
  [[nodiscard]] bool open() const { return open_; }
  // Where it was found last.
  [[nodiscard]] const SocketAddress& address() const { return address_; }
  // Told when the connection has come to serve, or was lost.
  std::function<void()> on_change = [] {};

  // Sends a command, or keeps it until the connection stands. `call` nullptr: nobody waits for the reply. The ticket names it.
  using Ticket = std::uint64_t;
  std::expected<Ticket, Unavailable> send(std::string_view command, Call* call);
  // Nobody waits any more: the reply is dropped when it comes.
  void forget(Ticket ticket);
  // The same, because it did not come in time, which speaks against this Redis.
  void on_timeout(Ticket ticket);

 private:
  struct Pending {
    Call* call = nullptr;
    Instant asked;
  };
  class Output;

  Task<void> run();
  Task<std::string> serve();
  Task<Link::Outcome<void>> connect(Link& link);
  Task<Link::Outcome<void>> probe(Link& link);
  Task<void> write(Link& link);
  Task<void> pause();
  void on_reply(const resp::Reply& reply);
  void on_error(const std::string& error);
  void on_failure(std::string reason);
  void begin_serving();
  void end_serving();
  void break_off(std::string reason);
  void lose_all(Unavailable why);
  void on_finished(Fiber& /*fiber*/) override {}

  const LinkSetting& setting_;
  const RedisOptions& options_;
  const std::unique_ptr<Locator> locator_;
  const Part part_;
  RedisCounters& counters_;
  Prng prng_;
  Scheduler& scheduler_;
  Fiber fiber_;
  SocketAddress address_;

  bool serving_ = false;
  bool open_ = false;
  std::string broken_;  // why the connection under way is to end; "": it is not
  std::uint32_t failures_ = 0;
  Duration retry_;
  Instant serving_since_;

  std::deque<Pending> pending_;
  Ticket first_ = 0;  // of pending_
  std::string output_;
  Output* writer_ = nullptr;  // waits for output
};

}  // namespace steelyard::quota
