#include "quota/redis/store.hpp"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "quota/redis/nodes.hpp"
#include "quota/redis/script.hpp"
#include "wire/resp/command.hpp"

namespace steelyard::quota {
namespace {

// MOVED and ASK that one decision follows; a Cluster that is being moved around leads to the right node in two.
constexpr int redirects_max = 4;

std::unique_ptr<RedisNodes> make_nodes(const LinkSetting& setting, RedisCounters& counters, std::uint64_t seed) {
  switch (setting.options.mode) {
    case RedisMode::single: return make_single(setting, counters, seed);
    case RedisMode::sentinel: return make_sentinel(setting, counters, seed);
    case RedisMode::cluster: return make_cluster(setting, counters, seed);
  }
  return nullptr;
}

}  // namespace

std::string_view name(Unavailable why) {
  switch (why) {
    case Unavailable::away: return "away";
    case Unavailable::timed_out: return "timed_out";
    case Unavailable::failed: return "failed";
    case Unavailable::overloaded: return "overloaded";
    case Unavailable::cancelled: return "cancelled";
    case Unavailable::stopped: return "stopped";
  }
  return "unknown";
}

// The demands of one take(), from the first command to the last answer. Lives in the frame of the fiber that waits.
class RedisStore::Round {
 public:
  Round(RedisStore& store, std::span<Asked> asked) : decisions_(asked.size()) {
    for (std::size_t i = 0; i < asked.size(); ++i) decisions_[i].ask(store, *this, asked[i]);
  }

  // co_await: done when there is an answer to each.
  class Answers final : public Operation {
   public:
    explicit Answers(Round& round) : round_(round) {}
    bool await_ready() noexcept { return round_.waiting_ == 0; }
    template <typename CallerPromise>
    bool await_suspend(std::coroutine_handle<CallerPromise> caller) noexcept {
      if (!suspend(*caller.promise().fiber, caller)) return false;
      round_.waiter_ = this;
      return true;
    }
    WaitResult await_resume() noexcept { return result_; }
    void withdraw() override { round_.waiter_ = nullptr; }

   private:
    Round& round_;
  };

  [[nodiscard]] bool complete() const { return waiting_ == 0; }
  enum class Blame : std::uint8_t { nobody, redis };
  // Nobody waits any more, because of `why`.
  void give_up(Unavailable why, Blame blame) {
    for (Decision& decision : decisions_) decision.give_up(why, blame);
  }

 private:
  class Decision final : public Call {
   public:
    void ask(RedisStore& store, Round& round, Asked& asked);
    void give_up(Unavailable why, Blame blame);

   private:
    Heard on_reply(const resp::Reply& reply) override;
    void on_lost(Unavailable why) override;
    void send(Node* node, Invocation invocation, bool asking = false);
    bool follow(const std::string& error);
    void settle(std::expected<Grant, Unavailable> answer);

    RedisStore* store_ = nullptr;
    Round* round_ = nullptr;
    Asked* asked_ = nullptr;
    Node* node_ = nullptr;  // where it is under way; nullptr: it is not
    Node::Ticket ticket_ = 0;
    std::string name_;
    int redirects_ = 0;
    Invocation invocation_ = Invocation::by_digest;
  };

  std::vector<Decision> decisions_;
  std::size_t waiting_ = 0;
  Answers* waiter_ = nullptr;
};

void RedisStore::Round::Decision::ask(RedisStore& store, Round& round, Asked& asked) {
  store_ = &store;
  round_ = &round;
  asked_ = &asked;
  const Demand& demand = asked.demand;
  name_ = key_name(store.options_.prefix, demand.limit, demand.key, store.options_.key_bytes_max);
  ++round.waiting_;
  send(store.nodes_->find(name_), Invocation::by_digest);
  if (node_ != nullptr) store.counters_.asked.add();
}

void RedisStore::Round::Decision::send(Node* node, Invocation invocation, bool asking) {
  std::string command;
  write_take(asked_->demand, name_, invocation, command);
  auto ticket = node == nullptr ? std::unexpected(Unavailable::away) : std::expected<Node::Ticket, Unavailable>{};
  if (ticket && asking) ticket = node->send(resp::command({"ASKING"}), nullptr);
  if (ticket) ticket = node->send(command, this);
  if (!ticket) {
    store_->counters_.unavailable.add();
    return settle(std::unexpected(ticket.error()));
  }
  invocation_ = invocation;
  node_ = node;
  ticket_ = *ticket;
}

Call::Heard RedisStore::Round::Decision::on_reply(const resp::Reply& reply) {
  if (!reply.is_error()) {
    const auto grant = read_grant(reply);
    if (!grant) store_->counters_.errors.add();
    settle(grant ? std::expected<Grant, Unavailable>(*grant) : std::unexpected(Unavailable::failed));
    return grant ? Heard::good : Heard::unexpected;
  }
  if (resp::error_code(reply.text) == "NOSCRIPT" && invocation_ == Invocation::by_digest) {
    send(node_, Invocation::by_text);
  } else if (!follow(reply.text)) {
    store_->counters_.errors.add();
    settle(std::unexpected(Unavailable::failed));
    return Heard::failed;
  }
  return Heard::good;
}

bool RedisStore::Round::Decision::follow(const std::string& error) {
  const auto redirect = resp::parse_redirect(error);
  if (!redirect || ++redirects_ > redirects_max) return false;
  Node* const other = store_->nodes_->follow(*redirect, *node_);
  if (other == nullptr) return false;
  store_->counters_.redirects.add();
  send(other, Invocation::by_digest, redirect->kind == resp::Redirect::Kind::ask);
  return true;
}

void RedisStore::Round::Decision::on_lost(Unavailable why) {
  if (why == Unavailable::failed) store_->counters_.errors.add();
  settle(std::unexpected(why));
}

void RedisStore::Round::Decision::settle(std::expected<Grant, Unavailable> answer) {
  asked_->answer = answer;
  node_ = nullptr;
  if (--round_->waiting_ == 0 && round_->waiter_ != nullptr) std::exchange(round_->waiter_, nullptr)->complete_later(WaitResult::done);
}

void RedisStore::Round::Decision::give_up(Unavailable why, Blame blame) {
  if (node_ == nullptr) return;
  Node* const node = std::exchange(node_, nullptr);
  --round_->waiting_;
  asked_->answer = std::unexpected(why);
  if (why == Unavailable::timed_out) store_->counters_.timeouts.add();
  if (blame == Blame::redis) {
    node->on_timeout(ticket_);
  } else {
    node->forget(ticket_);
  }
}

RedisStore::RedisStore(Connector& connector, RedisOptions options, std::shared_ptr<const tls::ClientContext> tls, RedisCounters& counters,
                       std::uint64_t seed)
    : options_(std::move(options)),
      tls_(std::move(tls)),
      setting_(std::make_unique<LinkSetting>(connector, options_, tls_.get())),
      counters_(counters),
      nodes_(make_nodes(*setting_, counters, seed)) {}

RedisStore::~RedisStore() = default;
void RedisStore::start() { nodes_->start(); }
void RedisStore::stop() { nodes_->stop(); }
bool RedisStore::running() const { return nodes_->running(); }
Scheduler& RedisStore::scheduler() const { return setting_->connector.scheduler(); }
bool RedisStore::available() const { return nodes_->available(); }

Task<void> RedisStore::take(std::span<Asked> asked) {
  Fiber& fiber = co_await this_fiber();
  const Instant own_deadline = fiber.deadline();
  const Instant deadline = fiber.scheduler().now() + options_.timeout;
  Round round(*this, asked);
  if (round.complete()) co_return;
  fiber.set_deadline(std::min(own_deadline, deadline));
  WaitResult result = co_await Round::Answers(round);
  fiber.set_deadline(own_deadline);
  // A request that was out of time itself says nothing about Redis. Otherwise a turn more: what has arrived while this process was held
  // up counts.
  const bool in_vain = result == WaitResult::timed_out && own_deadline > deadline;
  if (in_vain) result = co_await yield_turn();
  if (round.complete()) co_return;
  if (result == WaitResult::cancelled) {
    round.give_up(Unavailable::cancelled, Round::Blame::nobody);
  } else {
    round.give_up(Unavailable::timed_out, in_vain ? Round::Blame::redis : Round::Blame::nobody);
  }
}

void RedisStore::give_back(const Demand& demand, const Grant& grant, std::uint64_t tokens) {
  const std::string name = key_name(options_.prefix, demand.limit, demand.key, options_.key_bytes_max);
  Node* const node = nodes_->find(name);
  if (node == nullptr || tokens == 0) return;
  std::string command;
  write_give_back(demand, name, grant.mark, tokens, command);
  // Where it does not get there, or the script has gone in the meantime, a token is lost until it is refilled, which is on the safe side.
  [[maybe_unused]] const auto sent = node->send(command, nullptr);
}

}  // namespace steelyard::quota
