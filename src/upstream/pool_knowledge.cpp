// What is known of a pool's servers as values, and the way back.
#include <algorithm>
#include <utility>

#include "upstream/pool.hpp"

namespace steelyard {
namespace {

constexpr Hold found_out[] = {Hold::unhealthy, Hold::draining, Hold::ejected, Hold::unreachable};

}  // namespace

std::vector<ServerKnowledge> Pool::knowledge() const {
  const std::lock_guard lock(mutex_);
  std::vector<ServerKnowledge> all;
  for (const auto& server : servers_) {
    ServerKnowledge known{.id = server->id,
                          .address = server->address,
                          .health = server->health(),
                          .holds = {},
                          .well = server->well(),
                          .pause = {},
                          .ejections = server->ejections.load(std::memory_order_relaxed),
                          .ejections_remembered = server->ejections_remembered,
                          .ejection_ended = server->ejection_ended,
                          .warm_since_ns = server->load.warm_since_ns.load(std::memory_order_relaxed),
                          .estimate = server->load.estimate.values(),
                          .counts = server->counts(),
                          .active = server->own_active() + server->elsewhere.load(std::memory_order_relaxed),
                          .remote = server->remote.known()};
    for (const Hold hold : found_out) {
      if (auto note = server->note(hold)) known.holds.push_back({hold, std::move(*note)});
    }
    const auto pause = std::ranges::find(pauses_, server.get(), &Pause::server);
    if (pause != pauses_.end()) known.pause = {pause->began, pause->ends, pause->length};
    all.push_back(std::move(known));
  }
  return all;
}

void Pool::restore(std::span<const ServerKnowledge> knowledge, const Moment& at) {
  const std::lock_guard lock(mutex_);
  for (const ServerKnowledge& known : knowledge) {
    if (Server* const server = find_known_locked(known)) restore_locked(*server, known, at);
  }
  find_next_probe_locked();
  rebuild_locked();
}

void Pool::continue_from(std::span<const ServerKnowledge> knowledge) {
  const std::lock_guard lock(mutex_);
  for (const ServerKnowledge& known : knowledge) {
    Server* const server = find_known_locked(known);
    if (server == nullptr) continue;
    server->continue_from(known.counts);
    set_elsewhere_locked(*server, known.active);
  }
}

void Pool::forget_elsewhere() {
  const std::lock_guard lock(mutex_);
  for (const auto& server : servers_) set_elsewhere_locked(*server, 0);
  for (const auto& server : leaving_) set_elsewhere_locked(*server, 0);
}

void Pool::set_elsewhere_locked(Server& server, std::uint32_t active) {
  change_remote(server, std::int64_t{active} - server.elsewhere.exchange(active, std::memory_order_relaxed));
}

Server* Pool::find_known_locked(const ServerKnowledge& known) const {
  const auto is_it = [&](const std::shared_ptr<Server>& server) { return server->id == known.id && server->address == known.address; };
  const auto found = std::ranges::find_if(servers_, is_it);
  return found == servers_.end() ? nullptr : found->get();
}

void Pool::restore_locked(Server& server, const ServerKnowledge& known, const Moment& at) {
  server.continue_from(known.counts);
  set_elsewhere_locked(server, known.active);
  if (known.remote) change_remote(server, server.remote.report(*known.remote, at.now));
  server.ejections.store(known.ejections, std::memory_order_relaxed);
  server.ejections_remembered = known.ejections_remembered;
  server.ejection_ended = known.ejection_ended;
  server.load.warm_since_ns.store(known.warm_since_ns, std::memory_order_relaxed);
  server.load.estimate.restore(known.estimate);
  if (options_->health && known.health != Health::unknown) {
    server.set_health(known.health, known.well.reason, at.unix_s);
    server.release(Hold::unchecked, known.well.reason, at.unix_s);
  }
  const bool forced_up = server.forced() == ForcedHealth::up;
  for (const auto& [hold, note] : known.holds) {
    const bool by_tries = (bit(hold) & passive_holds) != 0;
    if (by_tries ? forced_up || !known.pause : !options_->health || (forced_up && hold == Hold::unhealthy)) continue;
    server.release(hold, {}, 0);  // so that it holds since then
    server.hold(hold, note.reason, note.since_unix_s);
  }
  if (known.pause && server.held(passive_holds)) {
    pauses_.push_back({.server = &server, .began = known.pause->began, .ends = known.pause->ends, .length = known.pause->length});
  }
  server.set_well(known.well);
}

}  // namespace steelyard
