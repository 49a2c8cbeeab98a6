// Registry: what servers may do that announce themselves.
#include <fmt/format.h>

#include "upstream/registry.hpp"
#include "upstream/registry_rules.hpp"

namespace steelyard {
namespace {

Refusal refusal(Refusal::Kind kind, std::string field, std::string message) { return {kind, std::move(field), std::move(message)}; }

Refusal takes_no_registrations(std::string_view pool) {
  return refusal(
      Refusal::Kind::not_allowed, "",
      fmt::format("the pool {} takes no registrations: to change that, configure `registration` for it with the token's file and "
                  "the networks of its servers",
                  quoted(pool)));
}

// Of the server that has the id which is announced.
std::optional<Refusal> check_taken_id(const WantedServer& there, const ServerOptions& announced, std::string_view owner, Instant now) {
  const std::string id = quoted(announced.id);
  if (!there.lease) {
    const std::string_view by = there.origin == Origin::configuration ? "the configuration" : "an operator";
    return refusal(Refusal::Kind::not_owner, "id",
                   fmt::format("the server {} is there by {}, so it need not announce itself: choose another id, or go "
                               "without",
                               id, by));
  }
  if (!there.lease->runs(now)) return std::nullopt;
  if (there.lease->owner != owner) {
    return refusal(Refusal::Kind::not_owner, "id",
                   fmt::format("the server {} was registered with another token: choose another id, or wait for its "
                               "lease to run out ({})",
                               id, in_words(there.lease->length)));
  }
  if (there.lease->lasting || address_of(there.options) == address_of(announced)) return std::nullopt;
  return refusal(Refusal::Kind::exists, "id",
                 fmt::format("the id {} is in use by the server at {}: give each server an id of its own; after a move, "
                             "leave first, or wait for the lease to run out ({})",
                             id, address_of(there.options), in_words(there.lease->length)));
}

// Of the server that has the address which is announced, under another id.
std::optional<Refusal> check_taken_address(const WantedServer& there, std::string_view owner, Instant now) {
  if (there.lease && (there.lease->owner == owner || !there.lease->runs(now))) return std::nullopt;
  const std::string_view by = there.lease                             ? "a registration with another token"
                              : there.origin == Origin::configuration ? "the configuration"
                                                                      : "an operator";
  return refusal(Refusal::Kind::exists, "address",
                 fmt::format("{} is in this pool already, as server {} by {}: remove that one first, or go without "
                             "announcing it",
                             address_of(there.options), quoted(there.options.id), by));
}

// Of a server that speaks for itself.
std::optional<Refusal> check_owner(const std::optional<WantedServer>& there, std::string_view id, std::string_view owner) {
  if (!there) {
    return refusal(Refusal::Kind::no_such_server, "", fmt::format("there is no server {} (any more): announce it again", quoted(id)));
  }
  if (!there->lease) {
    return refusal(Refusal::Kind::not_owner, "",
                   fmt::format("the server {} has no lease: it is there by {}, until that is taken back", quoted(id),
                               there->origin == Origin::configuration ? "the configuration" : "an operator"));
  }
  if (there->lease->owner == owner) return std::nullopt;
  return refusal(Refusal::Kind::not_owner, "",
                 fmt::format("the server {} was registered with another token: use the one that it was announced with", quoted(id)));
}

}  // namespace

std::expected<Applied, Refusal> Registry::announce(std::string_view pool_name, ServerOptions server, std::optional<Duration> lease,
                                                   std::string_view owner, std::optional<std::uint32_t> load, const Moment& at) {
  const auto pool = registering_pool(pool_name, server);
  if (!pool) return std::unexpected(pool.error());
  const auto length = check_lease(*(*pool)->registration(), lease);
  if (!length) return std::unexpected(length.error());
  return admit(**pool, std::move(server), {.length = *length, .expires = at.now + *length, .owner = std::string(owner), .load = load},
               at.now);
}

std::expected<Applied, Refusal> Registry::announce_lasting(std::string_view pool_name, ServerOptions server, std::string_view owner,
                                                           const Moment& at) {
  const auto pool = registering_pool(pool_name, server);
  if (!pool) return std::unexpected(pool.error());
  return admit(**pool, std::move(server), {.owner = std::string(owner), .lasting = true}, at.now);
}

// The pool, where it takes such a server; its address is then in its usual spelling.
std::expected<WantedServers*, Refusal> Registry::registering_pool(std::string_view name, ServerOptions& server) {
  const auto found = configured_pool(name);
  if (!found) return found;
  const auto& registration = (*found)->registration();
  if (!registration) return std::unexpected(takes_no_registrations(name));
  if (auto wrong = check_id(server.id)) return std::unexpected(std::move(*wrong));
  if (auto wrong = check_address(server)) return std::unexpected(std::move(*wrong));
  if (auto wrong = check_settings(server)) return std::unexpected(std::move(*wrong));
  if (auto wrong = check_registered_address(*registration, server)) return std::unexpected(std::move(*wrong));
  return found;
}

// What is announced is right in itself; whether it may take its id and its address is the question.
std::expected<Applied, Refusal> Registry::admit(WantedServers& pool, ServerOptions server, Lease lease, Instant now) {
  const auto there = pool.find(server.id);
  if (there) {
    if (auto taken = check_taken_id(*there, server, lease.owner, now)) return std::unexpected(std::move(*taken));
  } else if (pool.configured(server.id) != nullptr) {
    return std::unexpected(refusal(Refusal::Kind::not_owner, "id",
                                   fmt::format("the server {} is configured, but an operator has removed it: ask them "
                                               "to put it back, or choose another id",
                                               quoted(server.id))));
  }
  const std::string* const id_there = pool.id_at(address_of(server));
  const auto predecessor = id_there != nullptr && *id_there != server.id ? pool.find(*id_there) : std::nullopt;
  if (predecessor) {
    if (auto taken = check_taken_address(*predecessor, lease.owner, now)) return std::unexpected(std::move(*taken));
  }
  const std::uint32_t servers_max = pool.registration()->servers_max;
  if (!there && !predecessor && pool.registered() >= servers_max) {
    return std::unexpected(refusal(Refusal::Kind::limit_reached, "",
                                   fmt::format("this pool has {} registered servers, allowed are {}: let some leave, or "
                                               "raise registration.servers_max",
                                               pool.registered(), servers_max)));
  }

  WantedServer after{.options = std::move(server), .origin = Origin::registration, .lease = std::move(lease)};
  const bool same = there && there->lease->owner == after.lease->owner && address_of(there->options) == address_of(after.options);
  const WantedServer* const before = same ? &*there : predecessor ? &*predecessor : nullptr;
  if (before != nullptr) {
    after.drained = before->drained;
    after.forced = before->forced;
  }
  if (there) after.joined = there->joined;  // also one that takes the place of another
  if (same) return settle(pool, *there, std::move(after));
  if (predecessor) pool.remove(predecessor->options.id, ++revision_);
  if (there) pool.remove(there->options.id, ++revision_);
  after.revision = ++revision_;
  pool.store(std::move(after));
  return Applied{Applied::Effect::created, revision_};
}

std::expected<Applied, Refusal> Registry::renew(std::string_view pool_name, std::string_view id, std::string_view owner,
                                                std::optional<std::uint32_t> load, const Moment& at) {
  const auto pool = configured_pool(pool_name);
  if (!pool) return std::unexpected(pool.error());
  if (!(*pool)->registration()) return std::unexpected(takes_no_registrations(pool_name));
  const auto there = (*pool)->find(id);
  if (auto wrong = check_owner(there, id, owner)) return std::unexpected(std::move(*wrong));
  (*pool)->renew(id, at.now, load);
  return Applied{Applied::Effect::unchanged, there->revision};
}

void Registry::report(std::string_view pool_name, std::string_view id, const LoadReport& report) {
  const auto pool = configured_pool(pool_name);
  if (pool) (*pool)->report(id, report);
}

std::expected<Applied, Refusal> Registry::leave(std::string_view pool_name, std::string_view id, std::string_view owner) {
  const auto pool = configured_pool(pool_name);
  if (!pool) return std::unexpected(pool.error());
  if (auto wrong = check_owner((*pool)->find(id), id, owner)) return std::unexpected(std::move(*wrong));
  (*pool)->remove(id, ++revision_);
  return Applied{Applied::Effect::removed, revision_};
}

}  // namespace steelyard
