// What a pool consists of, and how it changes. What checks and tries make of its servers is in pool_health.cpp.
#include "upstream/pool.hpp"

#include <algorithm>
#include <map>
#include <unordered_set>
#include <utility>

namespace steelyard {
namespace {

bool has_limits(const PoolOptions& options, std::span<const PoolServer> servers) {
  if (options.queue.active_max != active_unlimited || options.queue.per_server_max != active_unlimited) return true;
  return std::ranges::any_of(servers, [](const PoolServer& server) { return server.options.active_max.has_value(); });
}

std::vector<PoolServer> servers_of(const PoolOptions& options, std::span<const SocketAddress> addresses) {
  std::vector<PoolServer> servers;
  for (std::size_t i = 0; i < options.servers.size(); ++i) servers.push_back({options.servers[i], addresses[i]});
  return servers;
}

}  // namespace

Pool::Pool(std::string name, std::uint32_t workers)
    : name_(std::move(name)), workers_(workers), shards_(std::make_unique<PoolShard[]>(workers)) {
  configure({}, {}, {});
}

Pool::Pool(PoolOptions options, std::span<const SocketAddress> addresses, std::uint32_t workers) : Pool(options.name, workers) {
  const std::vector<PoolServer> servers = servers_of(options, addresses);
  configure(std::move(options), servers, {});
}

void Pool::configure(PoolOptions options, std::span<const PoolServer> wanted, const Moment& at) {
  const std::lock_guard lock(mutex_);
  limited_.store(has_limits(options, wanted), std::memory_order_relaxed);
  queue_.set_limits(options.queue.queue_max, options.queue.active_max);
  const bool begins = !options_ || servers_.empty();
  options_ = std::make_shared<const PoolOptions>(std::move(options));
  std::vector<std::shared_ptr<Server>> servers;
  std::vector<std::shared_ptr<Server>> added;
  const KnownServers known = known_locked();
  for (const PoolServer& each : wanted) {
    policy::Promises promises = promises_of(each.options);
    std::shared_ptr<Server> server = take_known_locked(each, promises, known);
    const std::uint32_t active_max = each.options.active_max.value_or(options_->queue.per_server_max);
    if (server) {
      server->change(each.options, active_max);
    } else {
      server = std::make_shared<Server>(each.options, each.address, active_max, workers_, std::move(promises));
      if (options_->health && options_->health->before_traffic) server->hold(Hold::unchecked, "not checked yet", at.unix_s);
      added.push_back(server);
    }
    if (each.report && !server->remote.counts()) change_remote(*server, server->remote.report(*each.report, at.now));
    continue_counts(*server, known);
    servers.push_back(std::move(server));
  }
  const auto previous = std::exchange(servers_, std::move(servers));
  sessions_.reset();
  if (options_->sticky) sessions_ = std::make_shared<Sessions>(*options_->sticky, options_->sticky->secret, name_, servers_);
  tables_stale_ = true;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    Server& server = *servers_[i];
    force_locked(server, wanted[i].forced, at);
    if (wanted[i].drained) {
      hold_drain_locked(server, Hold::drained, "an operator has drained it", at);
    } else {
      release_drain_locked(server, Hold::drained, "an operator wants it back", at);
    }
    if (!options_->health) {
      if (server.health() != Health::unknown) server.set_health(Health::unknown, "not checked any more", at.unix_s);
      server.release(Hold::unchecked, "not checked any more", at.unix_s);
      server.release(Hold::draining, "not checked any more", at.unix_s);
    }
  }
  if (!begins) {
    for (const auto& server : added) begin_slow_start_locked(*server, at.now);
  }
  rebuild_locked();
  // After that, so that who finds one of them held finds new members, too.
  std::unordered_set<const Server*> stay;
  for (const auto& server : servers_) stay.insert(server.get());
  for (const auto& server : previous) {
    if (!stay.contains(server.get())) remove_locked(server, at);
  }
  find_next_probe_locked();
}

policy::Promises Pool::promises_of(const ServerOptions& server) const {
  if (!options_->policy) return {};
  const auto label = server.labels.find(options_->policy->label);
  return label == server.labels.end() ? policy::Promises{} : policy::Promises(label->first, label->second);
}

Pool::KnownServers Pool::known_locked() const {
  KnownServers known;
  for (const auto& server : servers_) known.emplace(server->id, server);
  for (const auto& server : leaving_) known.emplace(server->id, server);
  return known;
}

// The object that stands for it already, be it one that was about to leave.
std::shared_ptr<Server> Pool::take_known_locked(const PoolServer& wanted, const policy::Promises& promises, const KnownServers& known) {
  const auto [begin, end] = known.equal_range(wanted.options.id);
  const auto is_it = [&](const auto& each) { return each.second->address == wanted.address && each.second->promises == promises; };
  const auto found = std::find_if(begin, end, is_it);
  if (found == end) return nullptr;
  const std::shared_ptr<Server>& server = found->second;
  if (server->removed()) {
    std::erase(leaving_, server);
    std::erase_if(deadlines_, [&](const Deadline& deadline) { return deadline.server == server; });
    server->set_removed(false);
  }
  return server;
}

// Those of who was in its place until now, and promised something else.
void Pool::continue_counts(Server& server, const KnownServers& known) {
  const auto [begin, end] = known.equal_range(server.id);
  const auto before = std::find_if(begin, end, [&](const auto& each) {
    const Server& other = *each.second;
    return &other != &server && other.address == server.address && !other.removed();
  });
  if (before != end) server.take_over_counts(*before->second);
}

void Pool::remove_locked(const std::shared_ptr<Server>& server, const Moment& at) {
  server->set_removed(true);
  server->hold(Hold::drained, "it has been removed", at.unix_s);
  change_remote(*server, server->remote.end());
  std::erase_if(pauses_, [&](const Pause& pause) { return pause.server == server.get(); });
  leaving_.push_back(server);
  if (options_->drain != Duration::max()) deadlines_.push_back({server, at.now + options_->drain});
}

std::shared_ptr<const Members> Pool::members() const {
  const std::lock_guard lock(mutex_);
  return members_;
}

std::vector<std::shared_ptr<Server>> Pool::leaving() const {
  const std::lock_guard lock(mutex_);
  return leaving_;
}

void Pool::set_deadline(Server& server, Instant deadline) {
  const std::lock_guard lock(mutex_);
  std::erase_if(deadlines_, [&](const Deadline& known) { return known.server.get() == &server; });
  if (deadline != never) deadlines_.push_back({server.shared_from_this(), deadline});
}

std::vector<std::shared_ptr<Server>> Pool::take_overdue(Instant now) {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<Server>> overdue;
  std::erase_if(deadlines_, [&](const Deadline& deadline) {
    if (now < deadline.at) return false;
    overdue.push_back(deadline.server);
    return true;
  });
  return overdue;
}

// A removed server is kept until nobody can reach it without holding it: members that have it and connections to it share it, and
// an exchange there is counted before whoever chose it lets go of what it chose from.
void Pool::let_go_locked() {
  std::erase_if(leaving_, [&](const std::shared_ptr<Server>& server) {
    if (server->load.active.load(std::memory_order_relaxed) != 0) return false;
    std::erase_if(deadlines_, [&](const Deadline& deadline) { return deadline.server == server; });
    if (server.use_count() != 1) return false;
    std::atomic_thread_fence(std::memory_order_acquire);
    // After this nobody has written to it: whoever ended the last exchange did so before.
    return server->load.active.load(std::memory_order_acquire) == 0;
  });
}

// Turns, tables and counts are worked out anew; who waits for a place may find one now.
void Pool::rebuild_locked() {
  auto members = std::make_shared<Members>();
  members->options = options_;
  members->servers = servers_;
  members->sessions = sessions_;
  members->has_policy = options_->policy.has_value();
  members->groups = make_groups_locked();
  members_ = std::move(members);
  changed_ = tables_stale_ = false;
  version_.fetch_add(1, std::memory_order_release);
  queue_.grant_all();
}

std::vector<Group> Pool::make_groups_locked() const {
  std::map<std::string_view, std::vector<Server*>> promising;
  if (!options_->policy) promising.emplace();
  for (const auto& server : servers_) {
    if (!options_->policy) promising[{}].push_back(server.get());
    for (const std::string& promise : server->promises.values()) promising[promise].push_back(server.get());
  }
  std::vector<Group> groups;
  for (const auto& [promise, servers] : promising) {
    const Group* const before = members_ ? members_->find(promise) : nullptr;
    const bool tables_hold = before != nullptr && !tables_stale_;
    groups.push_back({.promise = std::string(promise),
                      .state = before != nullptr ? before->state : std::make_shared<GroupState>(),
                      .primary = make_tier(servers, false, tables_hold ? &before->primary : nullptr),
                      .backup = make_tier(servers, true, tables_hold ? &before->backup : nullptr)});
  }
  return groups;
}

Tier Pool::make_tier(std::span<Server* const> servers, bool backup, const Tier* before) const {
  Tier tier;
  std::vector<std::uint32_t> weights;
  std::vector<balance::HashedServer> hashed;
  for (Server* const server : servers) {
    if (server->backup() != backup || server->weight() == 0) continue;
    const bool takes = server->takes_traffic();
    tier.servers.push_back(server);
    weights.push_back(takes ? server->weight() : 0);
    hashed.push_back({server->id_hash, server->weight()});
    if (takes) tier.weight_sum += server->weight();
    if (!server->held(static_cast<Holds>(~passive_holds))) ++tier.askable;
  }
  tier.schedule = balance::smooth_schedule(weights);
  if (before != nullptr) {
    tier.by_client = before->by_client;
    tier.by_key = before->by_key;
  } else if (options_->algorithm == Algorithm::ip_hash) {
    tier.by_client = std::make_shared<balance::RendezvousTable>(hashed);
  } else if (options_->algorithm == Algorithm::hash) {
    tier.by_key = std::make_shared<balance::MaglevTable>(hashed);
  }
  return tier;
}

void Pool::publish_changes(Instant now) {
  {
    const std::lock_guard lock(mutex_);
    drop_lost_locked(now);
    if (changed_) rebuild_locked();
    if (!leaving_.empty()) let_go_locked();
  }
  if (queue_.busy() && now.ns >= next_probe_ns_.load(std::memory_order_relaxed)) queue_.grant_each();
}

retry::Recent Pool::recent(std::int64_t second) const {
  retry::Recent recent;
  for (std::uint32_t i = 0; i < workers_; ++i) shards_[i].window.add_to(recent, second);
  return recent;
}

std::uint64_t Pool::active() const {
  std::int64_t active = 0;
  for (std::uint32_t i = 0; i < workers_; ++i) active += shards_[i].active.value();
  return static_cast<std::uint64_t>(std::max<std::int64_t>(active + remote_.load(std::memory_order_relaxed), 0));
}

std::uint64_t Pool::broken_promises() const {
  std::uint64_t broken = 0;
  for (std::uint32_t i = 0; i < workers_; ++i) broken += shards_[i].broken_promises.value();
  return broken;
}

bool Pool::begin_exchange(std::uint32_t active_max) {
  std::uint32_t active = active_.load();
  while (active < active_max) {
    if (active_.compare_exchange_weak(active, active + 1)) return true;
  }
  return false;
}

void Pool::report(Server& server, const LoadReport& report, Instant now) {
  const std::lock_guard lock(mutex_);
  if (!server.removed()) change_remote(server, server.remote.report(report, now));
}

// What a removed one was sent just as it went, too.
void Pool::drop_lost_locked(Instant now) {
  for (const auto& server : servers_) change_remote(*server, server->remote.drop_lost(now));
  for (const auto& server : leaving_) change_remote(*server, server->remote.drop_lost(now));
}

// Modulo 2^32; what is taken away has been added before.
void Pool::change_remote(Server& server, std::int64_t change) {
  if (change == 0) return;
  remote_.fetch_add(change, std::memory_order_relaxed);
  active_.fetch_add(static_cast<std::uint32_t>(change));
  server.load.active.fetch_add(static_cast<std::uint32_t>(change));
  if (change < 0 && limited() && queue_.busy()) queue_.grant_all();
}

// The exchange's own count at the server becomes that of the work there.
bool Pool::send_away(Server& server, bool in_pool, Duration lifetime) {
  if (!in_pool) active_.fetch_add(1);
  remote_.fetch_add(1, std::memory_order_relaxed);
  if (server.remote.send(lifetime)) return true;
  if (!in_pool) active_.fetch_sub(1);
  remote_.fetch_sub(1, std::memory_order_relaxed);
  return false;
}

void Pool::say(LogLevel level, const Server& server, std::string_view what, std::string_view reason) const {
  if (message_enabled(level)) log_message(level, "server {}/{} {}: {}", name_, server.id, what, reason);
}

}  // namespace steelyard
