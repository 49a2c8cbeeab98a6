// Registry: what operators may do.
#include <fmt/format.h>

#include "upstream/registry.hpp"
#include "upstream/registry_rules.hpp"

namespace steelyard {
namespace {

std::unexpected<Refusal> refuse(Refusal::Kind kind, std::string field, std::string message) {
  return std::unexpected(Refusal{kind, std::move(field), std::move(message)});
}

std::unexpected<Refusal> no_such_server(const WantedServers& pool, std::string_view id) {
  if (pool.configured(id) == nullptr) {
    return refuse(Refusal::Kind::no_such_server, "",
                  fmt::format("this pool has no server {}: ask for the pool's servers to see which", quoted(id)));
  }
  return refuse(Refusal::Kind::no_such_server, "",
                fmt::format("the server {} was removed at run time: put it back to change it", quoted(id)));
}

std::optional<Refusal> check(const Precondition& precondition, std::string_view id, const std::optional<WantedServer>& there) {
  if (precondition.absent && there) {
    return Refusal{
        Refusal::Kind::changed_since, "",
        fmt::format("there is a server {} already, in revision {}: look whether it is the one you mean", quoted(id), there->revision)};
  }
  if (!precondition.revision || (there && there->revision == *precondition.revision)) return std::nullopt;
  const std::string now = there ? fmt::format("is in revision {}", there->revision) : "is not there";
  return Refusal{Refusal::Kind::changed_since, "",
                 fmt::format("the server {} was changed since revision {}, and now {}: read it again, and decide "
                             "whether the change is still right",
                             quoted(id), *precondition.revision, now)};
}

bool has_same_content(const WantedServer& a, const WantedServer& b) {
  const auto length = [](const WantedServer& server) { return server.lease ? server.lease->length : Duration{-1}; };
  return a.options == b.options && a.origin == b.origin && a.drained == b.drained && a.forced == b.forced && length(a) == length(b);
}

}  // namespace

std::expected<Applied, Refusal> Registry::put(std::string_view pool_name, ServerOptions server, const Precondition& precondition) {
  const auto pool = configured_pool(pool_name);
  if (!pool) return std::unexpected(pool.error());
  if (auto refusal = check_address(server)) return std::unexpected(std::move(*refusal));
  if (auto refusal = check_settings(server)) return std::unexpected(std::move(*refusal));
  const auto there = (*pool)->find(server.id);
  if (auto refusal = check(precondition, server.id, there)) return std::unexpected(std::move(*refusal));
  if (!there) return add(**pool, std::move(server));

  const std::string address = address_of(there->options);
  if (address_of(server) != address) {
    return refuse(Refusal::Kind::exists, "address",
                  fmt::format("the server {} is at {}, which a change cannot move: remove it first, then put it at {}, "
                              "or choose another id",
                              quoted(server.id), address, address_of(server)));
  }
  WantedServer after = *there;
  after.options = std::move(server);
  if (after.origin == Origin::registration) after.origin = Origin::admin;
  after.lease.reset();
  return settle(**pool, *there, std::move(after));
}

std::expected<Applied, Refusal> Registry::change(std::string_view pool_name, std::string_view id, const ServerChange& change,
                                                 const Precondition& precondition) {
  const auto pool = configured_pool(pool_name);
  if (!pool) return std::unexpected(pool.error());
  const auto there = (*pool)->find(id);
  if (!there) return no_such_server(**pool, id);
  if (auto refusal = check(precondition, id, there)) return std::unexpected(std::move(*refusal));
  WantedServer after = *there;
  apply(change, after);
  if (auto refusal = check_settings(after.options)) return std::unexpected(std::move(*refusal));
  return settle(**pool, *there, std::move(after));
}

std::expected<Applied, Refusal> Registry::remove(std::string_view pool_name, std::string_view id, const Precondition& precondition) {
  const auto pool = configured_pool(pool_name);
  if (!pool) return std::unexpected(pool.error());
  const auto there = (*pool)->find(id);
  if (!there) return no_such_server(**pool, id);
  if (auto refusal = check(precondition, id, there)) return std::unexpected(std::move(*refusal));
  (*pool)->remove(id, ++revision_);
  return Applied{Applied::Effect::removed, revision_};
}

std::expected<WantedServer, Refusal> Registry::server(std::string_view pool_name, std::string_view id) const {
  const auto pool = pools_.find(pool_name);
  if (pool == pools_.end() || !pool->second.is_configured()) return std::unexpected(no_such_pool(pool_name));
  if (auto there = pool->second.find(id)) return std::move(*there);
  return no_such_server(pool->second, id);
}

std::expected<WantedServers*, Refusal> Registry::configured_pool(std::string_view name) {
  const auto pool = pools_.find(name);
  if (pool == pools_.end() || !pool->second.is_configured()) return std::unexpected(no_such_pool(name));
  return &pool->second;
}

Refusal Registry::no_such_pool(std::string_view name) const {
  std::string names;
  for (const auto& [other, pool] : pools_) {
    if (pool.is_configured()) names += (names.empty() ? "" : ", ") + other;
  }
  return {Refusal::Kind::no_such_pool, "",
          fmt::format("there is no pool {}: the configuration has {}", quoted(name), names.empty() ? "none" : names)};
}

Applied Registry::settle(WantedServers& pool, const WantedServer& before, WantedServer after) {
  const bool same = has_same_content(before, after);
  after.revision = same ? before.revision : ++revision_;
  const Applied applied{same ? Applied::Effect::unchanged : Applied::Effect::changed, after.revision};
  pool.store(std::move(after));
  return applied;
}

// A new one, or one that was removed at run time.
std::expected<Applied, Refusal> Registry::add(WantedServers& pool, ServerOptions server) {
  if (const std::string* const other = pool.id_at(address_of(server))) {
    return refuse(
        Refusal::Kind::exists, "address",
        fmt::format("{} is in this pool already, as server {}: change that one, or remove it first", address_of(server), quoted(*other)));
  }
  WantedServer added{.options = std::move(server), .origin = Origin::admin};
  const ServerOptions* const configured = pool.configured(added.options.id);
  if (configured != nullptr && address_of(*configured) == address_of(added.options)) {
    added.origin = Origin::configuration;
  } else {
    if (auto refusal = check_id(added.options.id)) return std::unexpected(std::move(*refusal));
    if (pool.added_by_operators() >= added_max) {
      return refuse(Refusal::Kind::limit_reached, "",
                    fmt::format("this pool has {} servers that were added by hand, allowed are as many: configure "
                                "some, or let them register",
                                pool.added_by_operators()));
    }
  }
  added.revision = ++revision_;
  pool.store(std::move(added));
  return Applied{Applied::Effect::created, revision_};
}

}  // namespace steelyard
