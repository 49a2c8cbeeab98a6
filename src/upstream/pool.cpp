#include "upstream/pool.hpp"

#include <algorithm>
#include <utility>

#include "decide/health/ejection.hpp"

namespace steelyard {
namespace {

// A server that cannot be reached is asked again after this, and after twice as long each time, up to the last.
constexpr Duration first_pause = 100ms;
constexpr Duration last_pause = 5s;
// A probe that may not be repeated waits this long for one that may.
constexpr Duration patience = 2s;
// Who answers the first request after so long was not gone, and needs no slow start; others have probably been started anew.
constexpr Duration short_absence = 250ms;

bool has_limits(const PoolOptions& options) {
  if (options.queue.active_max != active_unlimited || options.queue.per_server_max != active_unlimited) return true;
  return std::ranges::any_of(options.servers, [](const ServerOptions& server) { return server.active_max.has_value(); });
}

Duration doubled(Duration length, Duration most) { return length >= most / 2 ? most : 2 * length; }

// The streak is exact enough where several workers count at once.
std::optional<EjectionReason> count_on_streak(Server& server, const TryResult& result, const OutlierOptions& options) {
  FailureStreak streak = server.load.streak.load(std::memory_order_relaxed);
  if (result.verdict == TryVerdict::good && streak.clean()) return std::nullopt;
  const auto reason = streak.count(result, options);
  server.load.streak.store(streak, std::memory_order_relaxed);
  return reason;
}

}  // namespace

Pool::Pool(PoolOptions options, std::span<const SocketAddress> addresses, std::uint32_t first_slot)
    : options_(std::move(options)), limited_(has_limits(options_)), queue_(options_.queue.queue_max) {
  for (std::size_t i = 0; i < options_.servers.size(); ++i) {
    const ServerOptions& server = options_.servers[i];
    servers_.push_back(std::make_unique<Server>(server, addresses[i], first_slot + static_cast<std::uint32_t>(i),
                                                server.active_max.value_or(options_.queue.per_server_max)));
    if (options_.health && options_.health->before_traffic) servers_.back()->hold(Hold::unchecked, "not checked yet", 0);
  }
  if (options_.sticky) sessions_ = std::make_unique<Sessions>(*options_.sticky, options_.sticky->secret, options_.name, servers_);
  const std::lock_guard lock(mutex_);
  rebuild_locked();
}

std::shared_ptr<const Members> Pool::members() const {
  const std::lock_guard lock(mutex_);
  return members_;
}

void Pool::set_health(Server& server, Health health, std::string reason, const Moment& at) {
  const bool was_unhealthy = server.held(bit(Hold::unhealthy));
  const bool was_unchecked = server.held(bit(Hold::unchecked));
  server.set_health(health, reason, at.unix_s);
  const std::lock_guard lock(mutex_);
  if (health == Health::healthy) {
    server.release(Hold::unchecked, reason, at.unix_s);
    // What a check has just seen outweighs what tries saw before it failed.
    if (was_unhealthy) {
      end_pause_locked(server, at);
      begin_slow_start(server, at.now);
    }
  }
  if (was_unhealthy != server.held(bit(Hold::unhealthy)) || was_unchecked != server.held(bit(Hold::unchecked))) rebuild_locked();
}

void Pool::on_check(Server& server, const CheckReport& report, const Moment& at) {
  set_health(server, report.health, report.reason, at);
  if (report.draining) {
    drain(server, report.reason, at);
  } else {
    end_drain(server, report.reason, at);
  }
}

void Pool::drain(Server& server, std::string reason, const Moment& at) {
  const std::lock_guard lock(mutex_);
  const bool known = server.held(bit(Hold::draining));
  server.hold(Hold::draining, std::move(reason), at.unix_s);
  if (!known) rebuild_locked();
}

void Pool::end_drain(Server& server, std::string reason, const Moment& at) {
  const std::lock_guard lock(mutex_);
  if (!server.held(bit(Hold::draining))) return;
  server.release(Hold::draining, reason, at.unix_s);
  begin_slow_start(server, at.now);
  find_next_probe_locked();
  rebuild_locked();
}

// Turns, tables and counts are worked out anew; who waits for a place may find one now.
void Pool::rebuild_locked() {
  auto members = std::make_shared<Members>();
  members->primary = make_tier(false, members_ ? &members_->primary : nullptr);
  members->backup = make_tier(true, members_ ? &members_->backup : nullptr);
  members_ = std::move(members);
  changed_ = false;
  version_.fetch_add(1, std::memory_order_release);
  if (limited_) queue_.grant_all();
}

Tier Pool::make_tier(bool backup, const Tier* before) const {
  Tier tier;
  std::vector<std::uint32_t> weights;
  std::vector<balance::HashedServer> hashed;
  for (const auto& server : servers_) {
    if (server->backup != backup || server->weight == 0) continue;
    const bool takes = server->takes_traffic();
    tier.servers.push_back(server.get());
    weights.push_back(takes ? server->weight : 0);
    hashed.push_back({server->id_hash, server->weight});
    if (takes) tier.weight_sum += server->weight;
    if (!server->held(static_cast<Holds>(~passive_holds))) ++tier.askable;
  }
  tier.schedule = balance::smooth_schedule(weights);
  if (before != nullptr) {
    tier.by_client = before->by_client;
    tier.by_key = before->by_key;
  } else if (options_.algorithm == Algorithm::ip_hash) {
    tier.by_client = std::make_shared<balance::RendezvousTable>(hashed);
  } else if (options_.algorithm == Algorithm::hash) {
    tier.by_key = std::make_shared<balance::MaglevTable>(hashed);
  }
  return tier;
}

void Pool::publish_changes(Instant now) {
  {
    const std::lock_guard lock(mutex_);
    if (changed_) rebuild_locked();
  }
  if (queue_.busy() && now.ns >= next_probe_ns_.load(std::memory_order_relaxed)) queue_.grant_one();
}

void Pool::on_try(Server& server, const TryResult& result, bool asked, const Moment& at) {
  const auto reason = options_.outliers ? count_on_streak(server, result, *options_.outliers) : std::nullopt;
  if (result.verdict == TryVerdict::good) {
    // An answer that was under way when its server was ejected proves nothing.
    if (!server.held(passive_holds) || (server.held(bit(Hold::ejected)) && !asked)) return;
    const std::lock_guard lock(mutex_);
    return end_pause_locked(server, at);
  }
  if (!reason && !(asked && server.held(passive_holds))) return;
  const std::lock_guard lock(mutex_);
  if (server.held(bit(Hold::ejected)) || may_eject_locked()) {
    eject_locked(server, reason ? in_words(*reason) : "the request that was to find out failed, too", at);
  }
}

bool Pool::eject(Server& server, const std::string& reason, const Moment& at) {
  const std::lock_guard lock(mutex_);
  if (server.held(bit(Hold::ejected))) return true;
  if (!may_eject_locked()) return false;
  eject_locked(server, reason, at);
  return true;
}

bool Pool::may_eject_locked() const {
  const auto ejected =
      static_cast<std::size_t>(std::ranges::count_if(servers_, [](const auto& server) { return server->held(bit(Hold::ejected)); }));
  return options_.outliers && may_eject(*options_.outliers, ejected, servers_.size());
}

void Pool::eject_locked(Server& server, const std::string& reason, const Moment& at) {
  const Pause* const known = pause_of_locked(server);
  const bool again = server.held(bit(Hold::ejected));
  // Failures of what was sent before the ejection change nothing; that of a probe does.
  if (again && known != nullptr && !known->probing) return;
  server.hold(Hold::ejected, reason, at.unix_s);
  if (!again) {
    const Duration back = at.now - server.ejection_ended;
    server.ejections_remembered = ejections_remembered(*options_.outliers, server.ejections_remembered, back);
  }
  pause_locked(server, ejection_time(*options_.outliers, server.ejections_remembered++), at.now);
  server.ejections.fetch_add(1, std::memory_order_relaxed);
  say(LogLevel::warning, server, again ? "stays ejected" : "is ejected", reason);
}

void Pool::on_unreachable(Server& server, std::string_view why, const Moment& at) {
  const std::lock_guard lock(mutex_);
  const Pause* const known = pause_of_locked(server);
  const bool again = server.held(bit(Hold::unreachable));
  // Others that failed to connect at the same time tell nothing new.
  if (again && known != nullptr && !known->probing) return;
  server.hold(Hold::unreachable, std::string(why), at.unix_s);
  pause_locked(server, known != nullptr ? doubled(known->length, std::max(known->length, last_pause)) : first_pause, at.now);
  if (!again) say(LogLevel::warning, server, "cannot be reached", why);
}

Pool::Pause* Pool::pause_of_locked(const Server& server) {
  const auto found = std::ranges::find(pauses_, &server, &Pause::server);
  return found == pauses_.end() ? nullptr : &*found;
}

void Pool::pause_locked(Server& server, Duration length, Instant now) {
  Pause* pause = pause_of_locked(server);
  if (pause == nullptr) pause = &pauses_.emplace_back(Pause{.server = &server, .began = now, .ends = now});
  pause->length = length;
  pause->ends = now + length;
  pause->probing = false;
  changed_ = true;
  find_next_probe_locked();
}

void Pool::end_pause_locked(Server& server, const Moment& at) {
  const Pause* const pause = pause_of_locked(server);
  if (pause == nullptr) return;
  const bool was_ejected = server.held(bit(Hold::ejected));
  const bool was_away = at.now - pause->began >= short_absence;
  std::erase_if(pauses_, [&](const Pause& each) { return each.server == &server; });
  find_next_probe_locked();
  for (const Hold hold : {Hold::ejected, Hold::unreachable}) server.release(hold, "answers again", at.unix_s);
  if (was_ejected) {
    server.ejection_ended = at.now;
    FailureStreak streak;
    streak.begin_probation();
    server.load.streak.store(streak, std::memory_order_relaxed);
  }
  if (was_ejected || was_away) {
    server.load.estimate.forget(at.now);
    begin_slow_start(server, at.now);
  }
  changed_ = true;
  // Where it is the only one, nobody has a turn until it has.
  if (members_->primary.weight_sum == 0) rebuild_locked();
  say(LogLevel::info, server, "is back", "it answers again");
}

Server* Pool::claim_due_probe(bool repeatable, Instant now) {
  // Whoever has the lock may be about to claim it: this request is better served elsewhere than kept waiting.
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock) return nullptr;
  for (Pause& pause : pauses_) {
    if (now < pause.ends + (repeatable ? Duration{0} : patience) || pause.server->held(static_cast<Holds>(~passive_holds))) continue;
    pause.probing = true;
    pause.ends = now + pause.length;
    find_next_probe_locked();
    return pause.server;
  }
  return nullptr;
}

void Pool::find_next_probe_locked() {
  Instant next = never;
  for (const Pause& pause : pauses_) {
    if (!pause.server->held(static_cast<Holds>(~passive_holds))) next = std::min(next, pause.ends);
  }
  next_probe_ns_.store(next.ns, std::memory_order_relaxed);
}

// Beside servers that are warm. Alone it has to take what comes.
void Pool::begin_slow_start(Server& server, Instant now) {
  if (options_.slow_start.window == Duration{0}) return;
  const bool alone = std::ranges::none_of(servers_, [&](const auto& other) { return other.get() != &server && other->takes_traffic(); });
  if (!alone) server.load.warm_since_ns.store(now.ns, std::memory_order_relaxed);
}

PoolShard& Pool::add_shard() {
  const std::lock_guard lock(mutex_);
  return *shards_.emplace_back(std::make_unique<PoolShard>());
}

retry::Recent Pool::recent(std::int64_t second) const {
  retry::Recent recent;
  for (const auto& shard : shards_) shard->window.add_to(recent, second);
  return recent;
}

std::uint64_t Pool::active() const {
  std::int64_t active = 0;
  for (const auto& shard : shards_) active += shard->active.value();
  return static_cast<std::uint64_t>(std::max<std::int64_t>(active, 0));
}

bool Pool::begin_exchange() {
  if (options_.queue.active_max == active_unlimited) return true;
  std::uint32_t active = active_.load();
  while (active < options_.queue.active_max) {
    if (active_.compare_exchange_weak(active, active + 1)) return true;
  }
  return false;
}

void Pool::end_exchange() {
  if (options_.queue.active_max != active_unlimited) active_.fetch_sub(1);
}

void Pool::say(LogLevel level, const Server& server, std::string_view what, std::string_view reason) const {
  if (message_enabled(level)) log_message(level, "server {}/{} {}: {}", options_.name, server.id, what, reason);
}

}  // namespace steelyard
