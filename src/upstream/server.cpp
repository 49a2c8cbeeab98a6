#include "upstream/server.hpp"

#include <fmt/format.h>

#include <utility>

#include "decide/balance/hashed_server.hpp"

namespace steelyard {

ServerCounts operator+(const ServerCounts& a, const ServerCounts& b) {
  return {a.requests + b.requests,
          a.failures + b.failures,
          a.error_statuses + b.error_statuses,
          a.connections_opened + b.connections_opened,
          a.connections_reused + b.connections_reused,
          a.redirects + b.redirects};
}

ServerCounts operator-(const ServerCounts& a, const ServerCounts& b) {
  return {a.requests - b.requests,
          a.failures - b.failures,
          a.error_statuses - b.error_statuses,
          a.connections_opened - b.connections_opened,
          a.connections_reused - b.connections_reused,
          a.redirects - b.redirects};
}

Server::Server(const ServerOptions& options, const SocketAddress& resolved, std::uint32_t most, std::uint32_t workers,
               policy::Promises promised)
    : id(options.id),
      authority(fmt::format("{}:{}", options.host, options.port)),
      address(resolved),
      id_hash(balance::hash_id(options.id)),
      promises(std::move(promised)),
      weight_(options.weight),
      active_max_(most),
      backup_(options.backup),
      workers_(workers),
      shards_(std::make_unique<ServerShard[]>(workers)),
      labels_(options.labels) {
  set_public_url(options.public_url);
}

void Server::change(const ServerOptions& options, std::uint32_t most) {
  weight_.store(options.weight, std::memory_order_relaxed);
  active_max_.store(most, std::memory_order_relaxed);
  backup_.store(options.backup, std::memory_order_relaxed);
  const std::lock_guard lock(mutex_);
  labels_ = options.labels;
  set_public_url(options.public_url);
}

void Server::set_public_url(const std::string& url) {
  const auto known = public_urls_.insert(url.empty() ? "http://" + address.to_string() : url).first;
  public_url_.store(&*known, std::memory_order_release);
}

std::map<std::string, std::string> Server::labels() const {
  const std::lock_guard lock(mutex_);
  return labels_;
}

ServerTotals Server::totals() const {
  ServerTotals totals;
  for (const ServerShard& shard : shards()) {
    totals.requests += shard.metrics.requests.value();
    totals.failures += shard.metrics.failures.value() + shard.metrics.error_statuses.value();
  }
  return totals;
}

ServerCounts Server::counts() const {
  const ServerCounts own = own_counts();
  const std::lock_guard lock(mutex_);
  return earlier_ + taken_over_ + own;
}

ServerCounts Server::own_counts() const {
  ServerCounts counts{.redirects = remote.redirects()};
  for (const ServerShard& shard : shards()) {
    counts.requests += shard.metrics.requests.value();
    counts.failures += shard.metrics.failures.value();
    counts.error_statuses += shard.metrics.error_statuses.value();
    counts.connections_opened += shard.metrics.connections_opened.value();
    counts.connections_reused += shard.metrics.connections_reused.value();
  }
  return counts;
}

void Server::continue_from(const ServerCounts& earlier) {
  const std::lock_guard lock(mutex_);
  earlier_ = earlier;
}

void Server::take_over_counts(const Server& other) {
  const ServerCounts theirs = other.own_counts();
  const ServerCounts own = own_counts();  // where it was in that place before
  const std::scoped_lock locks(mutex_, other.mutex_);
  earlier_ = other.earlier_;
  taken_over_ = other.taken_over_ + theirs - own;
}

bool Server::begin_exchange() {
  const std::uint32_t most = active_max();
  if (most == active_unlimited) {
    load.active.fetch_add(1, std::memory_order_relaxed);
    return true;
  }
  std::uint32_t active = load.active.load();
  while (active < most) {
    if (load.active.compare_exchange_weak(active, active + 1)) return true;
  }
  return false;
}

void Server::hold(Hold hold, std::string reason, std::int64_t unix_s) {
  const std::lock_guard lock(mutex_);
  Standing::Note& note = notes_[static_cast<std::size_t>(hold)];
  if (!held(bit(hold))) note.since_unix_s = unix_s;
  note.reason = std::move(reason);
  load.holds.fetch_or(bit(hold), std::memory_order_release);
}

void Server::release(Hold hold, std::string_view why, std::int64_t unix_s) {
  const std::lock_guard lock(mutex_);
  if (!held(bit(hold))) return;
  load.holds.fetch_and(static_cast<Holds>(~bit(hold)), std::memory_order_relaxed);
  well_ = {std::string(why), unix_s};
}

void Server::set_health(Health health, std::string reason, std::int64_t unix_s) {
  health_.store(health, std::memory_order_relaxed);
  if (health == Health::unhealthy && forced() != ForcedHealth::up) {
    hold(Hold::unhealthy, std::move(reason), unix_s);
    return;
  }
  release(Hold::unhealthy, reason, unix_s);
  const std::lock_guard lock(mutex_);
  if (well_.since_unix_s == 0) well_ = {std::move(reason), unix_s};
}

std::optional<Standing::Note> Server::note(Hold hold) const {
  const std::lock_guard lock(mutex_);
  if (!held(bit(hold))) return std::nullopt;
  return notes_[static_cast<std::size_t>(hold)];
}

Standing::Note Server::well() const {
  const std::lock_guard lock(mutex_);
  return well_;
}

void Server::set_well(Standing::Note note) {
  const std::lock_guard lock(mutex_);
  well_ = std::move(note);
}

// What keeps it from traffic most firmly comes first.
Standing Server::standing() const {
  static constexpr std::array<std::string_view, hold_count> states{"forced down", "unhealthy", "unchecked",  "drained",
                                                                   "draining",    "ejected",   "unreachable"};
  const std::lock_guard lock(mutex_);
  for (std::size_t i = 0; i < hold_count; ++i) {
    if (held(bit(static_cast<Hold>(i)))) return {states[i], notes_[i].reason, notes_[i].since_unix_s};
  }
  if (forced() == ForcedHealth::up) return {"forced up", well_.reason, well_.since_unix_s};
  const std::string_view state = load.warm_since_ns.load(std::memory_order_relaxed) != 0 ? "warming"
                                 : health() == Health::healthy                           ? "healthy"
                                                                                         : "unknown";
  return {state, well_.reason, well_.since_unix_s};
}

}  // namespace steelyard
