// What the registry's rules say, written down a second time in the plainest way: lists that are searched from one end to the other, and
// whole servers where the registry keeps differences. For the test that compares both.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "upstream/registry.hpp"

namespace steelyard::model {

using Kind = Refusal::Kind;
using Effect = Applied::Effect;

// What an operation comes to: an effect, or a kind of refusal.
struct OutcomeModel {
  std::optional<Effect> effect{};
  std::optional<Kind> refusal{};
  friend bool operator==(const OutcomeModel&, const OutcomeModel&) = default;
};
inline OutcomeModel outcome(const std::expected<Applied, Refusal>& applied) {
  return applied ? OutcomeModel{.effect = applied->effect} : OutcomeModel{.refusal = applied.error().kind};
}

struct Row {
  WantedServer server;
  ServerOptions base{};  // of a configured one that was changed: what the configuration said then
  bool removed = false;
};

inline bool same(const WantedServer& a, const WantedServer& b) {
  const auto lease = [](const WantedServer& one) {
    return one.lease ? std::tuple(one.lease->length, one.lease->owner) : std::tuple(Duration{-1}, std::string());
  };
  return a.options == b.options && a.origin == b.origin && a.drained == b.drained && a.forced == b.forced && lease(a) == lease(b);
}
inline bool same_address(const ServerOptions& a, const ServerOptions& b) { return a.host == b.host && a.port == b.port; }

struct PoolModel {
  std::string name;
  bool configured = false;
  std::optional<RegistrationOptions> registration{};
  std::vector<ServerOptions> base{};
  std::vector<Row> changed{};                            // configured ones
  std::vector<Row> added{};                              // in the order in which they came
  std::vector<std::pair<std::string, Instant>> ended{};  // ids of leases that ran out, and until when that counts

  static Row* find(std::vector<Row>& rows, const std::string& id) {
    const auto found = std::ranges::find_if(rows, [&](const Row& row) { return row.server.options.id == id; });
    return found == rows.end() ? nullptr : &*found;
  }
  const ServerOptions* base_of(const std::string& id) const {
    const auto found = std::ranges::find(base, id, &ServerOptions::id);
    return found == base.end() ? nullptr : &*found;
  }
  static void drop(std::vector<Row>& rows, const std::string& id) {
    std::erase_if(rows, [&](const Row& row) { return row.server.options.id == id; });
  }
  void forget_ended(const std::string& id) {
    std::erase_if(ended, [&](const auto& one) { return one.first == id; });
  }

  std::vector<WantedServer> list() {
    std::vector<WantedServer> servers;
    if (!configured) return servers;
    for (const ServerOptions& options : base) {
      const Row* const row = find(changed, options.id);
      if (row == nullptr) servers.push_back({.options = options});
      if (row != nullptr && !row->removed) servers.push_back(row->server);
    }
    for (const Row& row : added) servers.push_back(row.server);
    return servers;
  }
  std::optional<WantedServer> at(const std::string& id) {
    for (const WantedServer& server : list()) {
      if (server.options.id == id) return server;
    }
    return std::nullopt;
  }
  std::optional<WantedServer> at_address(const ServerOptions& options) {
    for (const WantedServer& server : list()) {
      if (same_address(server.options, options)) return server;
    }
    return std::nullopt;
  }
  std::size_t registered() const {
    return static_cast<std::size_t>(std::ranges::count_if(added, [](const Row& row) { return row.server.lease.has_value(); }));
  }

  void store(const WantedServer& server) {
    const std::string id = server.options.id;
    if (server.origin != Origin::configuration) {
      if (Row* const known = find(added, id)) {
        known->server = server;
      } else {
        added.push_back({.server = server});
      }
      forget_ended(id);
      return;
    }
    drop(changed, id);
    const ServerOptions& now = *base_of(id);
    if (!same(server, {.options = now})) changed.push_back({.server = server, .base = now});
  }
  void remove(const std::string& id) {
    if (find(added, id) != nullptr) return drop(added, id);
    const WantedServer server = *at(id);
    drop(changed, id);
    changed.push_back({.server = server, .base = *base_of(id), .removed = true});
  }

  void configure(const PoolOptions& options) {
    configured = true;
    base = options.servers;
    registration = options.registration;
    reconcile();
  }
  void reconcile() {
    std::erase_if(changed, [&](const Row& row) {
      const ServerOptions* const now = base_of(row.server.options.id);
      return now == nullptr || *now != row.base;
    });
    std::vector<ServerOptions> there;
    for (const WantedServer& server : list()) {
      if (server.origin == Origin::configuration) there.push_back(server.options);
    }
    std::erase_if(added, [&](const Row& row) {
      const ServerOptions& one = row.server.options;
      const bool taken = std::ranges::any_of(there, [&](const auto& other) { return other.id == one.id || same_address(other, one); });
      return taken || (row.server.lease && !allows(one));
    });
  }
  bool allows(const ServerOptions& options) const {
    if (!registration) return false;
    return std::ranges::any_of(registration->networks, [&](const Network& one) { return one.contains(*IpAddress::parse(options.host)); });
  }
};

}  // namespace steelyard::model
