#include "quota/redis/node.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "observe/message.hpp"
#include "quota/redis/script.hpp"
#include "wire/resp/command.hpp"

namespace steelyard::quota {
namespace {

// Errors after which another Redis may have to be looked for, so that this connection is of no more use.
bool names_wrong_redis(std::string_view code) { return code == "READONLY" || code == "LOADING" || code == "MASTERDOWN"; }
bool leads_elsewhere(std::string_view code) { return code == "MOVED" || code == "ASK" || code == "TRYAGAIN"; }

// What the operator can do about it; "" where Redis' own words or the network's say it.
std::string_view advice(std::string_view problem) {
  const std::string_view code = resp::error_code(problem);
  if (code == "NOAUTH") return "; set its password";
  if (code == "WRONGPASS") return "; check its username and password";
  if (code == "NOPERM") return "; its user needs +eval +evalsha +script|load +select +time +get +set and all keys with the prefix";
  if (code == "OOM") return "; give it more memory or a maxmemory-policy that evicts";
  if (code == "MOVED" || code == "CROSSSLOT") return "; it is part of a Cluster, which must be configured as one";
  if (code == "READONLY") return "; it is a replica";
  return "";
}

}  // namespace

// What the writing fiber waits for.
class Node::Output final : public Operation {
 public:
  explicit Output(Node& node) : node_(node) {}
  bool await_ready() noexcept { return !node_.output_.empty(); }
  template <typename CallerPromise>
  bool await_suspend(std::coroutine_handle<CallerPromise> caller) noexcept {
    if (!suspend(*caller.promise().fiber, caller)) return false;
    node_.writer_ = this;
    return true;
  }
  WaitResult await_resume() noexcept { return result_; }
  void withdraw() override {
    if (node_.writer_ == this) node_.writer_ = nullptr;
  }

 private:
  Node& node_;
};

Node::Node(const LinkSetting& setting, std::unique_ptr<Locator> locator, Part part, RedisCounters& counters, std::uint64_t seed)
    : setting_(setting),
      options_(setting.options),
      locator_(std::move(locator)),
      part_(part),
      counters_(counters),
      prng_(seed),
      scheduler_(setting.connector.scheduler()),
      fiber_(scheduler_, *this),
      retry_(options_.retry_min) {}

Node::~Node() { SY_ASSERT(!fiber_.running()); }

void Node::stop() {
  fiber_.cancel(Cause::shutdown);
  lose_all(Unavailable::stopped);
}

Task<void> Node::run() {
  while (fiber_.cause() == Cause::none) {
    std::string reason = co_await serve();
    end_serving();
    if (fiber_.cause() != Cause::none) break;
    locator_->on_failure();
    // Who broke the connection off has done this already, and what was asked since waits for the next connection.
    if (broken_.empty()) {
      on_failure(std::move(reason));
      lose_all(Unavailable::failed);
    }
    broken_.clear();
    if (open_) co_await pause();
  }
  if (std::exchange(open_, false)) counters_.nodes_open.subtract();
  lose_all(Unavailable::stopped);
}

// From finding it to the end of the connection; returns why that ended.
Task<std::string> Node::serve() {
  Link link(setting_);
  fiber_.set_deadline(scheduler_.now() + options_.connect_timeout);
  const auto connected = co_await connect(link);
  if (!connected) co_return connected.error();
  if (!broken_.empty()) co_return broken_;
  fiber_.clear_deadline();
  begin_serving();
  Child writer(scheduler_);
  writer.start(write(link));
  std::string reason;
  while (broken_.empty() && fiber_.cause() == Cause::none) {
    const auto reply = co_await link.receive();
    if (!reply) {
      reason = reply.error();
      break;
    }
    if (broken_.empty()) on_reply(*reply);
  }
  writer.cancel(Cause::sibling_done);
  co_await writer.join();
  co_return reason;
}

Task<Link::Outcome<void>> Node::connect(Link& link) {
  const auto located = co_await locator_->locate();
  if (!located) co_return std::unexpected(located.error());
  address_ = *located;
  const auto opened = co_await link.open(address_, options_.login);
  if (!opened) co_return std::unexpected(opened.error());
  if (options_.database != 0) {
    const auto selected = co_await link.ask(resp::command({"SELECT", fmt::to_string(options_.database)}));
    if (!selected) co_return std::unexpected(selected.error());
  }
  if (options_.login.password.empty()) {
    // One that wants a password says so to this; a longer command it may just refuse as too long.
    const auto greeted = co_await link.ask(resp::command({"PING"}));
    if (!greeted) co_return std::unexpected(greeted.error());
  }
  const auto probed = co_await probe(link);
  co_return probed;
}

// What decisions need: the script, run as for one of them on a key of its own, and answered as quickly. Of a Cluster's node nobody knows
// yet which keys it takes, so there the script is only loaded.
Task<Link::Outcome<void>> Node::probe(Link& link) {
  std::string command;
  if (part_ == Part::alone) {
    write_probe(options_.prefix, command);
  } else {
    resp::write_command({"SCRIPT", "LOAD", script_text()}, command);
  }
  fiber_.set_deadline(std::min(fiber_.deadline(), scheduler_.now() + options_.timeout));
  const auto answer = co_await link.ask(command);
  if (!answer) co_return std::unexpected(answer.error());
  const bool as_expected = part_ == Part::alone ? read_grant(*answer).has_value() : answer->text == script_digest();
  if (!as_expected) co_return std::unexpected(std::string("what it answered is not what its script says: is it a Redis?"));
  co_return Link::Outcome<void>{};
}

Task<void> Node::write(Link& link) {
  std::string batch;
  for (;;) {
    const WaitResult waited = co_await Output(*this);
    if (waited != WaitResult::done || !broken_.empty()) co_return;
    batch.clear();
    batch.swap(output_);
    const auto sent = co_await link.send(batch);
    if (sent) continue;
    Fiber& own = co_await this_fiber();
    if (own.cause() == Cause::none && broken_.empty()) {
      on_failure(sent.error());
      break_off(sent.error());
    }
    co_return;
  }
}

Task<void> Node::pause() {
  constexpr std::uint64_t parts = 1000;
  const Duration jittered = retry_ * 3 / 4 + retry_ / 2 * static_cast<std::int64_t>(prng_.below(parts)) / static_cast<std::int64_t>(parts);
  retry_ = std::min(retry_ * 2, options_.retry_max);
  fiber_.set_deadline(scheduler_.now() + jittered);
  co_await until_deadline();
}

std::expected<Node::Ticket, Unavailable> Node::send(std::string_view command, Call* call) {
  if (!fiber_.running() || fiber_.cause() != Cause::none) return std::unexpected(Unavailable::stopped);
  if (open_) return std::unexpected(Unavailable::away);
  if (pending_.size() >= options_.in_flight_max) return std::unexpected(Unavailable::overloaded);
  output_.append(command);
  pending_.push_back({call, scheduler_.now()});
  // In the next turn, so that it takes along what others ask in this one.
  if (writer_ != nullptr) std::exchange(writer_, nullptr)->complete_next_turn(WaitResult::done);
  return first_ + pending_.size() - 1;
}

void Node::forget(Ticket ticket) {
  if (ticket >= first_ && ticket - first_ < pending_.size()) pending_[ticket - first_].call = nullptr;
}

void Node::on_timeout(Ticket ticket) {
  forget(ticket);
  on_failure(fmt::format("it did not answer within {} ms", options_.timeout / 1ms));
}

void Node::on_reply(const resp::Reply& reply) {
  if (pending_.empty()) {
    on_failure("it answered what was not asked");
    return break_off("it answered what was not asked");
  }
  const Pending pending = pending_.front();
  pending_.pop_front();
  ++first_;
  counters_.round_trips.record(scheduler_.now() - pending.asked);
  if (!reply.is_error() && scheduler_.now() - pending.asked <= options_.timeout) failures_ = 0;
  const Call::Heard heard = pending.call != nullptr ? pending.call->on_reply(reply) : Call::Heard::good;
  if (heard == Call::Heard::unexpected) {
    on_failure("what it answered is not what its script says");
    break_off("what it answered is not what its script says");
  } else if (reply.is_error() && (heard == Call::Heard::failed || pending.call == nullptr)) {
    on_error(reply.text);
  }
}

void Node::on_error(const std::string& error) {
  const std::string_view code = resp::error_code(error);
  if (part_ == Part::of_cluster && leads_elsewhere(code)) return;  // which says nothing against this Redis
  on_failure(error.empty() ? "it answered an error without a word" : error);
  if (names_wrong_redis(code)) break_off(error);
}

// In a row: each good answer begins anew.
void Node::on_failure(std::string reason) {
  if (++failures_ < options_.failures_max || open_) return;
  open_ = true;
  counters_.nodes_open.add();
  const std::string name = locator_->name();
  log_message_limited(LogLevel::warning, name + " away",
                      "{}: {}{}; it is not asked until it answers a probe, and limits go by what they are to do without it", name, reason,
                      advice(reason));
  break_off(std::move(reason));
}

void Node::break_off(std::string reason) {
  if (broken_.empty()) broken_ = std::move(reason);
  lose_all(open_ ? Unavailable::away : Unavailable::failed);
  fiber_.interrupt();
}

void Node::begin_serving() {
  serving_ = true;
  serving_since_ = scheduler_.now();
  counters_.connects.add();
  counters_.nodes.add();
  if (std::exchange(open_, false)) {
    failures_ = 0;
    counters_.nodes_open.subtract();
    log_message_limited(LogLevel::info, locator_->name() + " back", "{}: answers again", locator_->name());
  }
  on_change();
}

void Node::end_serving() {
  if (!std::exchange(serving_, false)) return;
  counters_.nodes.subtract();
  // Who served for a while is tried again soon; who comes and goes, later and later.
  if (scheduler_.now() - serving_since_ >= options_.retry_max) {
    retry_ = options_.retry_min;
    failures_ = 0;
  }
  on_change();
}

void Node::lose_all(Unavailable why) {
  output_.clear();
  first_ += pending_.size();
  for (const Pending& pending : std::exchange(pending_, {})) {
    if (pending.call != nullptr) pending.call->on_lost(why);
  }
}

}  // namespace steelyard::quota
