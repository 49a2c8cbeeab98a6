// The nodes of a Redis Cluster: a connection to each master that has slots, and the table that says which. The table is asked for at the
// start, from time to time, and soon after anything has shown that it may be old: a redirect, a node that went, a slot that nobody has.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "observe/message.hpp"
#include "quota/redis/fixed_locator.hpp"
#include "quota/redis/nodes.hpp"
#include "quota/redis/slot.hpp"
#include "quota/redis/slot_table.hpp"
#include "wire/resp/command.hpp"

namespace steelyard::quota {
namespace {

constexpr Duration table_age_max = 60s;

class ClusterNodes final : public RedisNodes, private Fiber::Owner {
 public:
  ClusterNodes(const LinkSetting& setting, RedisCounters& counters, std::uint64_t seed)
      : setting_(setting), counters_(counters), prng_(seed), fiber_(setting.connector.scheduler(), *this), slots_(slot_count) {}

  void start() override { fiber_.start(keep_table()); }
  void stop() override;
  [[nodiscard]] bool running() const override;
  [[nodiscard]] bool available() const override {
    return std::ranges::any_of(nodes_, [](const auto& node) { return node.second->serving(); });
  }
  Node* find(std::string_view key) override;
  Node* follow(const resp::Redirect& redirect, const Node& from) override;

 private:
  Task<void> keep_table();
  Task<Link::Outcome<std::vector<SlotRange>>> fetch();
  Task<Link::Outcome<std::vector<SlotRange>>> fetch_from(const SocketAddress& at);
  Task<void> wait(Duration pause);
  void use(const std::vector<SlotRange>& ranges);
  void tell(const std::string& problem);
  void renew();
  Node* at(const SocketAddress& address);
  void on_finished(Fiber& /*fiber*/) override {}

  const LinkSetting& setting_;
  RedisCounters& counters_;
  Prng prng_;
  Fiber fiber_;
  bool renew_ = false;   // the table may be old
  bool idle_ = false;    // the fiber waits for that
  std::string problem_;  // that was told last
  std::vector<Node*> slots_;
  std::map<SocketAddress, std::unique_ptr<Node>> nodes_;
  std::vector<std::unique_ptr<Node>> leaving_;
};

void ClusterNodes::stop() {
  fiber_.cancel(Cause::shutdown);
  std::ranges::fill(slots_, nullptr);
  for (auto& [address, node] : std::exchange(nodes_, {})) leaving_.push_back(std::move(node));
  for (const auto& node : leaving_) node->stop();
}

bool ClusterNodes::running() const {
  return fiber_.running() || std::ranges::any_of(leaving_, [](const auto& node) { return node->running(); }) || !nodes_.empty();
}

Task<void> ClusterNodes::keep_table() {
  while (fiber_.cause() == Cause::none) {
    renew_ = false;
    const auto table = co_await fetch();
    if (fiber_.cause() != Cause::none) co_return;
    if (table) use(*table);
    tell(table ? "" : table.error());
    // A table that is wanted again and again must not become load of its own.
    co_await wait(setting_.options.retry_max);
    if (!table || renew_) continue;
    idle_ = true;
    co_await wait(table_age_max);
    idle_ = false;
  }
}

Task<void> ClusterNodes::wait(Duration pause) {
  fiber_.set_deadline(fiber_.scheduler().now() + pause);
  co_await until_deadline();
}

void ClusterNodes::renew() {
  renew_ = true;
  if (idle_) fiber_.interrupt();
}

// From nodes that are known to answer, then from those that were configured, then from any.
Task<Link::Outcome<std::vector<SlotRange>>> ClusterNodes::fetch() {
  std::vector<SocketAddress> candidates;
  for (const auto& [address, node] : nodes_) {
    if (node->serving()) candidates.push_back(address);
  }
  candidates.insert(candidates.end(), setting_.options.addresses.begin(), setting_.options.addresses.end());
  for (const auto& [address, node] : nodes_) {
    if (!node->serving()) candidates.push_back(address);
  }
  std::string problem;
  for (const SocketAddress& candidate : candidates) {
    auto table = co_await fetch_from(candidate);
    if (table || fiber_.cause() != Cause::none) co_return table;
    problem = fmt::format("{}: {}", candidate.to_string(), table.error());
  }
  co_return std::unexpected(problem);
}

Task<Link::Outcome<std::vector<SlotRange>>> ClusterNodes::fetch_from(const SocketAddress& at) {
  fiber_.set_deadline(fiber_.scheduler().now() + setting_.options.connect_timeout);
  Link link(setting_);
  const auto opened = co_await link.open(at, setting_.options.login);
  if (!opened) co_return std::unexpected(opened.error());
  const auto reply = co_await link.ask(resp::command({"CLUSTER", "SLOTS"}));
  if (!reply) co_return std::unexpected(reply.error());
  co_return read_slot_table(*reply, at);
}

void ClusterNodes::use(const std::vector<SlotRange>& ranges) {
  std::ranges::fill(slots_, nullptr);
  std::set<SocketAddress> masters;
  for (const SlotRange& range : ranges) masters.insert(range.master);
  for (auto node = nodes_.begin(); node != nodes_.end();) {
    if (masters.contains(node->first)) {
      ++node;
      continue;
    }
    leaving_.push_back(std::move(node->second));
    leaving_.back()->stop();
    node = nodes_.erase(node);
  }
  std::erase_if(leaving_, [](const auto& node) { return !node->running(); });
  for (const SlotRange& range : ranges) {
    Node* const master = at(range.master);
    std::fill(slots_.begin() + range.first, slots_.begin() + range.last + 1, master);
  }
  // A Cluster that is being made, or has lost a part.
  if (std::ranges::find(slots_, nullptr) != slots_.end()) renew_ = true;
}

// Once for each problem, and once when it is over.
void ClusterNodes::tell(const std::string& problem) {
  if (problem == problem_) return;
  if (!problem.empty()) {
    log_message_limited(LogLevel::warning, "redis cluster", "redis cluster: no node tells who has which slots: {}", problem);
  } else {
    log_message(LogLevel::info, "redis cluster: its table of slots is known again");
  }
  problem_ = problem;
}

Node* ClusterNodes::find(std::string_view key) {
  Node* const node = slots_[slot_of(key)];
  if (node == nullptr || node->open()) renew();
  return node;
}

Node* ClusterNodes::follow(const resp::Redirect& redirect, const Node& from) {
  if (redirect.kind == resp::Redirect::Kind::moved) renew();
  const auto ip = redirect.host.empty() ? std::optional(from.address().ip) : IpAddress::parse(redirect.host);
  if (!ip || fiber_.cause() != Cause::none) return nullptr;
  Node* const node = at({*ip, redirect.port});
  if (node != nullptr && redirect.kind == resp::Redirect::Kind::moved) slots_[redirect.slot] = node;
  return node;
}

// nullptr: there would be too many.
Node* ClusterNodes::at(const SocketAddress& address) {
  if (const auto known = nodes_.find(address); known != nodes_.end()) return known->second.get();
  if (nodes_.size() >= setting_.options.nodes_max) return nullptr;
  auto locator = std::make_unique<FixedLocator>(std::vector{address});
  auto& node = nodes_[address];
  node = std::make_unique<Node>(setting_, std::move(locator), Node::Part::of_cluster, counters_, prng_.next());
  node->on_change = [this, changed = node.get()] {
    if (!changed->serving()) renew();
  };
  node->start();
  return node.get();
}

}  // namespace

std::unique_ptr<RedisNodes> make_cluster(const LinkSetting& setting, RedisCounters& counters, std::uint64_t seed) {
  return std::make_unique<ClusterNodes>(setting, counters, seed);
}

}  // namespace steelyard::quota
