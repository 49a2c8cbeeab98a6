#include "upstream/wanted_servers.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/assert.hpp"
#include "upstream/registry_rules.hpp"

namespace steelyard {
namespace {

std::string in_words(const ServerChange& change) {
  std::vector<std::string> words;
  if (change.weight) words.push_back(fmt::format("weight {}", *change.weight));
  if (change.backup) words.emplace_back(*change.backup ? "backup" : "no backup");
  if (change.active_max) words.push_back(*change.active_max ? fmt::format("active_max {}", **change.active_max) : "no active_max");
  if (change.labels) words.push_back(fmt::format("{} labels", change.labels->size()));
  if (change.public_url) words.push_back(fmt::format("public_url {}", *change.public_url));
  if (change.drained) words.emplace_back(*change.drained ? "drained" : "not drained");
  if (change.forced) words.push_back(fmt::format("forced {}", name(*change.forced)));
  return fmt::format("{}", fmt::join(words, ", "));
}

ServerChange difference(const ServerOptions& configured, const WantedServer& server) {
  ServerChange change;
  const ServerOptions& now = server.options;
  if (now.weight != configured.weight) change.weight = now.weight;
  if (now.backup != configured.backup) change.backup = now.backup;
  if (now.active_max != configured.active_max) change.active_max = now.active_max;
  if (now.labels != configured.labels) change.labels = now.labels;
  if (now.public_url != configured.public_url) change.public_url = now.public_url;
  if (server.drained) change.drained = true;
  if (server.forced != ForcedHealth::none) change.forced = server.forced;
  return change;
}

// While nothing ran here nobody could renew, and whoever lives renews at least twice within a lease: so each has half of it to come.
Lease restored(const RegistryState::SavedLease& saved, const std::optional<RegistrationOptions>& registration, const Moment& at) {
  if (saved.lasting) return {.owner = saved.owner, .lasting = true};
  const Duration length = registration ? std::clamp(saved.length, registration->lease_min, registration->lease_max) : saved.length;
  const std::int64_t left_ms = std::clamp<std::int64_t>(saved.expires_unix_ms - at.unix_s * 1000, 0, length / 1ms);
  return {.length = length, .expires = at.now + std::max<Duration>(left_ms * 1ms, length / 2), .owner = saved.owner};
}

RegistryState::SavedLease to_save(const Lease& lease, const Moment& at) {
  if (lease.lasting) return {.owner = lease.owner, .lasting = true};
  return {lease.length, at.unix_s * 1000 + (lease.expires - at.now) / 1ms, lease.owner};
}

}  // namespace

std::vector<std::string> WantedServers::configure(const PoolOptions& options, std::uint64_t& revision) {
  std::map<std::string, Configured> before;
  for (Configured& server : configured_) before.emplace(server.options.id, std::move(server));
  configured_.clear();
  places_.clear();
  for (const ServerOptions& server : options.servers) {
    const auto old = before.find(server.id);
    const bool same = old != before.end() && old->second.options == server;
    places_.emplace(server.id, configured_.size());
    configured_.push_back({server, same ? old->second.revision : ++revision});
    if (old != before.end()) before.erase(old);
  }
  if (!before.empty()) ++revision;
  registration_ = options.registration;
  is_configured_ = true;
  return reconcile(revision);
}

void WantedServers::suspend() {
  is_configured_ = false;
  registration_.reset();
  configured_.clear();
  places_.clear();
  ids_.clear();
}

std::vector<std::string> WantedServers::restore(const RegistryState::PoolState& saved, const Moment& at, std::uint64_t& revision) {
  for (const auto& [id, server] : added_) leases_.end(id);
  added_.clear();
  changed_.clear();
  changed_.insert(saved.changed.begin(), saved.changed.end());
  for (const auto& [id, server] : saved.added) {
    WantedServer wanted{.options = server.options,
                        .origin = Origin::admin,
                        .drained = server.drained,
                        .forced = server.forced,
                        .revision = server.revision,
                        .joined = server.joined};
    wanted.options.id = id;
    if (server.lease) {
      wanted.origin = Origin::registration;
      wanted.lease = restored(*server.lease, registration_, at);
      leases_.renew(id, wanted.lease->length, wanted.lease->expires);
    }
    added_.emplace(id, std::move(wanted));
  }
  return is_configured_ ? reconcile(revision) : std::vector<std::string>{};
}

RegistryState::PoolState WantedServers::state(const Moment& at) const {
  RegistryState::PoolState state;
  state.changed.insert(changed_.begin(), changed_.end());
  for (const auto& [id, server] : added_) {
    std::optional<RegistryState::SavedLease> lease;
    if (server.lease) lease = to_save(*server.lease, at);
    state.added.emplace(
        id, RegistryState::Added{server.options, server.drained, server.forced, std::move(lease), server.revision, server.joined});
  }
  return state;
}

std::string WantedServers::changes_in_words() const {
  return fmt::format("servers added: {}, changed or removed: {}", added_.size(), changed_.size());
}

void WantedServers::restamp(std::uint64_t& revision) {
  for (Configured& server : configured_) server.revision = ++revision;
}

std::vector<WantedServer> WantedServers::list() const {
  std::vector<WantedServer> servers;
  if (!is_configured_) return servers;
  servers.reserve(configured_.size() + added_.size());
  for (const Configured& server : configured_) {
    if (!is_removed(server.options.id)) servers.push_back(merged(server));
  }
  const auto first_added = static_cast<std::ptrdiff_t>(servers.size());
  for (const auto& [id, server] : added_) servers.push_back(server);
  std::ranges::sort(servers.begin() + first_added, servers.end(), {}, &WantedServer::joined);
  return servers;
}

std::optional<WantedServer> WantedServers::find(std::string_view id) const {
  if (!is_configured_) return std::nullopt;
  if (const auto added = added_.find(id); added != added_.end()) return added->second;
  const auto place = places_.find(id);
  if (place == places_.end() || is_removed(id)) return std::nullopt;
  return merged(configured_[place->second]);
}

const ServerOptions* WantedServers::configured(std::string_view id) const {
  const auto place = places_.find(id);
  return place == places_.end() ? nullptr : &configured_[place->second].options;
}

const std::string* WantedServers::id_at(const std::string& address) const {
  const auto found = ids_.find(address);
  return found == ids_.end() ? nullptr : &found->second;
}

void WantedServers::store(WantedServer server) {
  const std::string id = server.options.id;
  ids_[address_of(server.options)] = id;
  if (server.origin == Origin::configuration) {
    Configured& configured = configured_[places_.find(id)->second];
    ServerChange change = difference(configured.options, server);
    if (change == ServerChange{}) {
      changed_.erase(id);
      configured.revision = server.revision;
    } else {
      changed_[id] = {configured.options, std::move(change), false, server.revision};
    }
    return;
  }
  WantedServer& added = added_[id];
  if (server.joined == 0) server.joined = server.revision;
  if (!server.lease) {
    leases_.end(id);
  } else if (!added.lease || added.lease->expires != server.lease->expires) {
    leases_.renew(id, server.lease->length, server.lease->expires);
  }
  added = std::move(server);
}

void WantedServers::remove(std::string_view id, std::uint64_t revision) {
  if (const auto added = added_.find(id); added != added_.end()) {
    leases_.end(id);
    erase(added);
    return;
  }
  const Configured& server = configured_[places_.find(id)->second];
  ids_.erase(address_of(server.options));
  changed_[std::string(id)] = {server.options, {}, true, revision};
}

void WantedServers::renew(std::string_view id, Instant now, std::optional<std::uint32_t> load) {
  const auto added = added_.find(id);
  SY_ASSERT(added != added_.end() && added->second.lease);
  Lease& lease = *added->second.lease;
  if (load) lease.load = load;
  if (lease.lasting) return;
  lease.expires = now + lease.length;
  lease.overdue = false;
  leases_.renew(added->first, lease.length, lease.expires);
}

void WantedServers::report(std::string_view id, const LoadReport& report) {
  const auto added = added_.find(id);
  if (added != added_.end() && added->second.lease) added->second.lease->report = report;
}

std::vector<LeaseBook::Verdict> WantedServers::expire(Instant now, const LeaseBook::Gone& gone, std::uint64_t& revision) {
  const double share_max = registration_ ? registration_->expired_share_max : 1.0;
  auto verdicts = leases_.expire(now, share_max, gone);
  for (const LeaseBook::Verdict& verdict : verdicts) {
    const auto added = added_.find(verdict.id);
    if (verdict.kept) {
      added->second.lease->overdue = true;
    } else {
      erase(added);
      ++revision;
    }
  }
  return verdicts;
}

bool WantedServers::is_removed(std::string_view id) const {
  const auto changed = changed_.find(id);
  return changed != changed_.end() && changed->second.removed;
}

WantedServer WantedServers::merged(const Configured& configured) const {
  WantedServer server{.options = configured.options, .revision = configured.revision};
  const auto changed = changed_.find(configured.options.id);
  if (changed == changed_.end()) return server;
  apply(changed->second.change, server);
  server.revision = changed->second.revision;
  return server;
}

// Drops what does not go together with what the configuration says now.
std::vector<std::string> WantedServers::reconcile(std::uint64_t& revision) {
  std::vector<std::string> sentences;
  for (auto changed = changed_.begin(); changed != changed_.end();) {
    const std::string why = why_stale(changed->first, changed->second);
    if (why.empty()) {
      ++changed;
      continue;
    }
    const std::string what = changed->second.removed ? "the removal at run time"
                                                     : fmt::format("the change made at run time ({})", in_words(changed->second.change));
    sentences.push_back(fmt::format("pools.{}: server {}: {} is dropped, because {}", name_, changed->first, what, why));
    changed = changed_.erase(changed);
    ++revision;
  }
  index_addresses();
  for (auto added = added_.begin(); added != added_.end();) {
    const std::string why = why_configured(added->second);
    if (why.empty()) {
      ++added;
      continue;
    }
    sentences.push_back(fmt::format("pools.{}: server {}: what was added at run time is dropped, because {}", name_, added->first, why));
    leases_.end(added->first);
    added = erase(added);
    ++revision;
  }
  drop_not_allowed(sentences, revision);
  index_addresses();
  return sentences;
}

std::string WantedServers::why_stale(const std::string& id, const RegistryState::Changed& changed) const {
  const ServerOptions* const now = configured(id);
  if (now == nullptr) return "the configuration does not have this server any more";
  return *now == changed.configured ? "" : "the configuration has changed it since";
}

std::string WantedServers::why_configured(const WantedServer& server) const {
  const std::string& id = server.options.id;
  if (configured(id) != nullptr && !is_removed(id)) return "the configuration has this server now";
  const std::string* const other = id_at(address_of(server.options));
  return other == nullptr || *other == id ? "" : fmt::format("{} is server {} now", address_of(server.options), *other);
}

// One sentence for all: there may be thousands.
void WantedServers::drop_not_allowed(std::vector<std::string>& sentences, std::uint64_t& revision) {
  std::size_t dropped = 0;
  std::string first;
  for (auto added = added_.begin(); added != added_.end();) {
    const auto refusal = !added->second.lease ? std::nullopt
                         : registration_      ? check_registered_address(*registration_, added->second.options)
                                              : Refusal{.field = {}, .message = "the pool takes no registrations"};
    if (!refusal) {
      fit_lease(added->second, revision);
      ++added;
      continue;
    }
    if (dropped++ == 0) first = fmt::format("{}: {}", added->first, refusal->message);
    leases_.end(added->first);
    added = erase(added);
    ++revision;
  }
  if (dropped == 0) return;
  sentences.push_back(
      fmt::format("pools.{}: {} registered servers are dropped, because the configuration does not allow them; the first is {}", name_,
                  dropped, first));
}

void WantedServers::fit_lease(WantedServer& server, std::uint64_t& revision) const {
  if (!server.lease || server.lease->lasting) return;
  const Duration length = std::clamp(server.lease->length, registration_->lease_min, registration_->lease_max);
  if (length == server.lease->length) return;
  server.lease->length = length;
  server.revision = ++revision;
}

void WantedServers::index_addresses() {
  ids_.clear();
  for (const auto& [id, server] : added_) ids_[address_of(server.options)] = id;
  for (const Configured& server : configured_) {
    if (!is_removed(server.options.id)) ids_[address_of(server.options)] = server.options.id;
  }
}

WantedServers::AddedServers::iterator WantedServers::erase(AddedServers::iterator server) {
  const auto address = ids_.find(address_of(server->second.options));
  if (address != ids_.end() && address->second == server->first) ids_.erase(address);
  return added_.erase(server);
}

}  // namespace steelyard
