// What checks, operators and tries make of a pool's servers: who takes no traffic, for how long, and who comes back how.
#include <algorithm>
#include <map>
#include <utility>

#include "decide/health/ejection.hpp"
#include "upstream/pool.hpp"

namespace steelyard {
namespace {

// A server that cannot be reached is asked again after this, and after twice as long each time, up to the last.
constexpr Duration first_pause = 100ms;
constexpr Duration last_pause = 5s;
// A probe that may not be repeated waits this long for one that may.
constexpr Duration patience = 2s;
// Who answers the first request after so long was not gone, and needs no slow start; others have probably been started anew.
constexpr Duration short_absence = 250ms;

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

void Pool::set_health(Server& server, Health health, std::string reason, const Moment& at) {
  const bool was_unhealthy = server.held(bit(Hold::unhealthy));
  const bool was_unchecked = server.held(bit(Hold::unchecked));
  server.set_health(health, reason, at.unix_s);
  const std::lock_guard lock(mutex_);
  if (health == Health::healthy) {
    server.release(Hold::unchecked, reason, at.unix_s);
    // What a check has just seen outweighs what tries saw before it failed.
    if (was_unhealthy) {
      end_pause_locked(server, reason, at);
      begin_slow_start_locked(server, at.now);
    }
  }
  if (was_unhealthy != server.held(bit(Hold::unhealthy)) || was_unchecked != server.held(bit(Hold::unchecked))) rebuild_locked();
}

void Pool::on_check(Server& server, const CheckReport& report, const Moment& at) {
  set_health(server, report.health, report.reason, at);
  const std::lock_guard lock(mutex_);
  if (report.draining) {
    hold_drain_locked(server, Hold::draining, report.reason, at);
  } else {
    release_drain_locked(server, Hold::draining, report.reason, at);
  }
  if (changed_) rebuild_locked();
}

void Pool::drain(Server& server, std::string reason, const Moment& at) {
  const std::lock_guard lock(mutex_);
  hold_drain_locked(server, Hold::drained, std::move(reason), at);
  if (changed_) rebuild_locked();
}

void Pool::end_drain(Server& server, std::string reason, const Moment& at) {
  const std::lock_guard lock(mutex_);
  release_drain_locked(server, Hold::drained, reason, at);
  if (changed_) rebuild_locked();
}

void Pool::hold_drain_locked(Server& server, Hold hold, std::string reason, const Moment& at) {
  if (!server.held(bit(hold))) changed_ = true;
  server.hold(hold, std::move(reason), at.unix_s);
}

void Pool::release_drain_locked(Server& server, Hold hold, std::string_view reason, const Moment& at) {
  if (!server.held(bit(hold))) return;
  server.release(hold, reason, at.unix_s);
  begin_slow_start_locked(server, at.now);
  find_next_probe_locked();
  changed_ = true;
}

// Up: nothing that checks and tries find keeps it from traffic. When that ends, what its checks say counts again.
void Pool::force_locked(Server& server, ForcedHealth forced, const Moment& at) {
  const ForcedHealth before = server.forced();
  server.set_forced(forced);
  if (forced == ForcedHealth::down) {
    server.hold(Hold::forced_down, "an operator has forced it down", at.unix_s);
  } else {
    server.release(Hold::forced_down, "an operator lets it take traffic", at.unix_s);
  }
  if (forced == ForcedHealth::up) {
    if (before != forced) end_pause_locked(server, "an operator has forced it up", at);
    for (const Hold hold : {Hold::unhealthy, Hold::unchecked}) server.release(hold, "an operator has forced it up", at.unix_s);
  } else if (before == ForcedHealth::up && server.health() == Health::unhealthy) {
    server.hold(Hold::unhealthy, "its checks fail, and it is no longer forced up", at.unix_s);
  }
  if (before != forced) changed_ = true;
}

void Pool::on_try(Server& server, const TryResult& result, const std::optional<OutlierOptions>& outliers, bool asked, const Moment& at) {
  const auto reason = outliers ? count_on_streak(server, result, *outliers) : std::nullopt;
  if (result.verdict == TryVerdict::good) {
    // An answer that was under way when its server was ejected proves nothing.
    if (!server.held(passive_holds) || (server.held(bit(Hold::ejected)) && !asked)) return;
    const std::lock_guard lock(mutex_);
    return end_pause_locked(server, "it answers again", at);
  }
  if (!reason && !(asked && server.held(passive_holds))) return;
  const std::lock_guard lock(mutex_);
  if (!may_hold_locked(server)) return;
  if (server.held(bit(Hold::ejected)) || may_eject_locked()) {
    eject_locked(server, reason ? in_words(*reason) : "the request that was to find out failed, too", at);
  }
}

bool Pool::eject(Server& server, const std::string& reason, const Moment& at) {
  const std::lock_guard lock(mutex_);
  if (server.held(bit(Hold::ejected))) return true;
  if (!may_hold_locked(server) || !may_eject_locked()) return false;
  eject_locked(server, reason, at);
  return true;
}

// One that is removed is nobody's concern any more, and of one that an operator has forced up nobody asks.
bool Pool::may_hold_locked(const Server& server) { return !server.removed() && server.forced() != ForcedHealth::up; }

bool Pool::may_eject_locked() const {
  const auto ejected =
      static_cast<std::size_t>(std::ranges::count_if(servers_, [](const auto& server) { return server->held(bit(Hold::ejected)); }));
  return options_->outliers && may_eject(*options_->outliers, ejected, servers_.size());
}

void Pool::eject_locked(Server& server, const std::string& reason, const Moment& at) {
  const Pause* const known = pause_of_locked(server);
  const bool again = server.held(bit(Hold::ejected));
  // Failures of what was sent before the ejection change nothing; that of a probe does.
  if (again && known != nullptr && !known->probing) return;
  server.hold(Hold::ejected, reason, at.unix_s);
  if (!again) {
    const Duration back = at.now - server.ejection_ended;
    server.ejections_remembered = ejections_remembered(*options_->outliers, server.ejections_remembered, back);
  }
  pause_locked(server, ejection_time(*options_->outliers, server.ejections_remembered++), at.now);
  server.ejections.fetch_add(1, std::memory_order_relaxed);
  say(LogLevel::warning, server, again ? "stays ejected" : "is ejected", reason);
}

void Pool::on_unreachable(Server& server, std::string_view why, const Moment& at) {
  const std::lock_guard lock(mutex_);
  if (!may_hold_locked(server)) return;
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

void Pool::end_pause_locked(Server& server, std::string_view why, const Moment& at) {
  const Pause* const pause = pause_of_locked(server);
  if (pause == nullptr) return;
  const bool was_ejected = server.held(bit(Hold::ejected));
  const bool was_away = at.now - pause->began >= short_absence;
  std::erase_if(pauses_, [&](const Pause& each) { return each.server == &server; });
  find_next_probe_locked();
  for (const Hold hold : {Hold::ejected, Hold::unreachable}) server.release(hold, why, at.unix_s);
  if (was_ejected) {
    server.ejection_ended = at.now;
    FailureStreak streak;
    streak.begin_probation();
    server.load.streak.store(streak, std::memory_order_relaxed);
  }
  if (was_ejected || was_away) {
    server.load.estimate.forget(at.now);
    begin_slow_start_locked(server, at.now);
  }
  changed_ = true;
  // Where it is the only one, nobody has a turn until it has.
  const auto waits_for_it = [&](const Group& group) {
    return group.primary.weight_sum == 0 && (!members_->has_policy || server.promise(group.promise));
  };
  if (std::ranges::any_of(members_->groups, waits_for_it)) rebuild_locked();
  say(LogLevel::info, server, "is back", why);
}

std::shared_ptr<Server> Pool::claim_due_probe(const Demand& demand, bool repeatable, Instant now) {
  // Whoever has the lock may be about to claim it: this request is better served elsewhere than kept waiting.
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock) return nullptr;
  for (Pause& pause : pauses_) {
    if (now < pause.ends + (repeatable ? Duration{0} : patience) || pause.server->held(static_cast<Holds>(~passive_holds))) continue;
    if (demand && !pause.server->promises.meet(*demand)) continue;
    pause.probing = true;
    pause.ends = now + pause.length;
    find_next_probe_locked();
    return pause.server->shared_from_this();
  }
  return nullptr;
}

void Pool::find_next_probe_locked() {
  Instant next = never;
  std::map<std::string_view, Instant> next_of;  // by promise
  for (const Pause& pause : pauses_) {
    if (pause.server->held(static_cast<Holds>(~passive_holds))) continue;
    next = std::min(next, pause.ends);
    for (const std::string& promise : pause.server->promises.values()) {
      Instant& first = next_of.try_emplace(promise, never).first->second;
      first = std::min(first, pause.ends);
    }
  }
  next_probe_ns_.store(next.ns, std::memory_order_relaxed);
  for (const Group& group : members_->groups) {
    const auto known = next_of.find(group.promise);
    const Instant of_group = !members_->has_policy ? next : known == next_of.end() ? never : known->second;
    group.state->next_probe_ns.store(of_group.ns, std::memory_order_relaxed);
  }
}

// Beside servers that are warm, and may have the same requests. Alone it has to take what comes.
void Pool::begin_slow_start_locked(Server& server, Instant now) {
  if (options_->slow_start.window == Duration{0}) return;
  const bool alone = std::ranges::none_of(servers_, [&](const auto& other) {
    return other.get() != &server && other->takes_traffic() && (!options_->policy || server.promises.overlap(other->promises));
  });
  if (!alone) server.load.warm_since_ns.store(now.ns, std::memory_order_relaxed);
}

}  // namespace steelyard
