// The values that Registry speaks in: servers as they are to be, changes to them and why one is refused, and what outlives a restart.
// Plain values; the rules are in registry.hpp.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.hpp"
#include "upstream/options.hpp"
#include "upstream/remote_work.hpp"

namespace steelyard {

// Who has brought a server into its pool.
enum class Origin : std::uint8_t { configuration, admin, registration };
[[nodiscard]] std::string_view name(Origin origin);
[[nodiscard]] std::string_view name(ForcedHealth forced);

// What may be changed of a server that is there; nothing: as it was.
struct ServerChange {
  std::optional<std::uint32_t> weight{};
  std::optional<bool> backup{};
  std::optional<std::optional<std::uint32_t>> active_max{};  // nullopt inside: the pool's per_server_max again
  std::optional<std::map<std::string, std::string>> labels{};
  std::optional<std::string> public_url{};
  std::optional<bool> drained{};  // no new traffic until that is taken back
  std::optional<ForcedHealth> forced{};
  friend bool operator==(const ServerChange&, const ServerChange&) = default;
};

// A registration that expires unless it is renewed, or one that lasts: of a server that never says anything again.
struct Lease {
  Duration length{0};
  Instant expires = never;
  std::string owner{};                  // the name of the token that it was made with
  std::optional<std::uint32_t> load{};  // exchanges under way there by the server's own count, when it last said so
  std::optional<LoadReport> report{};   // of what it was sent by redirects, when it last said so
  bool overdue = false;                 // it has run out, and the server is kept because too many did at once
  bool lasting = false;                 // it never expires, and another server may announce itself in its place; has no length
  [[nodiscard]] bool runs(Instant now) const { return !overdue && expires > now; }
};

// One server as it is to be.
struct WantedServer {
  ServerOptions options{};
  Origin origin = Origin::configuration;
  bool drained = false;
  ForcedHealth forced = ForcedHealth::none;
  std::optional<Lease> lease{};
  std::uint64_t revision = 0;  // grows with each change to it, unique in the registry; renewals do not change it
  std::uint64_t joined = 0;    // of one that was added: its first revision, by which they are in the order in which they came
};

void apply(const ServerChange& change, WantedServer& server);

// Under which a change is made (RFC 9110 §13.1.1, §13.1.2).
struct Precondition {
  std::optional<std::uint64_t> revision{};  // of the server as the caller knows it
  bool absent = false;                      // there is no such server yet
};

// Why a change was not made. The sentence says what was found and what to do.
struct Refusal {
  enum class Kind : std::uint8_t {
    no_such_pool,
    no_such_server,
    exists,         // the id or the address is taken
    changed_since,  // a precondition does not hold
    not_owner,
    not_allowed,
    limit_reached,
    invalid,
  };
  Kind kind = Kind::invalid;
  std::string field;  // of the request, where one is to blame: "address", "lease"
  std::string message;
};

// What a change has come to.
struct Applied {
  enum class Effect : std::uint8_t { created, changed, unchanged, removed };
  Effect effect = Effect::unchanged;
  std::uint64_t revision = 0;
};

// What outlives a restart. Times are of the day, since the monotonic clock does not.
struct RegistryState {
  struct SavedLease {
    Duration length{0};
    std::int64_t expires_unix_ms = 0;
    std::string owner{};
    bool lasting = false;  // without length and expiry
    friend bool operator==(const SavedLease&, const SavedLease&) = default;
  };
  struct Added {
    ServerOptions options{};
    bool drained = false;
    ForcedHealth forced = ForcedHealth::none;
    std::optional<SavedLease> lease{};
    std::uint64_t revision = 0;
    std::uint64_t joined = 0;
    friend bool operator==(const Added&, const Added&) = default;
  };
  struct Changed {
    ServerOptions configured{};  // what the configuration said when the change was made
    ServerChange change{};
    bool removed = false;
    std::uint64_t revision = 0;
    friend bool operator==(const Changed&, const Changed&) = default;
  };
  struct PoolState {
    std::map<std::string, Added> added;      // by id
    std::map<std::string, Changed> changed;  // by id
    friend bool operator==(const PoolState&, const PoolState&) = default;
  };
  std::map<std::string, PoolState> pools;  // by name; also those that the configuration does not have now
  std::uint64_t revision = 0;              // the highest
  friend bool operator==(const RegistryState&, const RegistryState&) = default;
};

}  // namespace steelyard
