// Which servers each pool is to have, whoever brought them: the configuration, an operator, or a server that has announced itself.
// The configuration is the base; what has been changed since then is a value of its own that outlives restarts (upstream/state_file).
// Decides only: time is an argument, nothing is opened, and the pools are told by whoever owns this. On the control thread.
//
// How both are merged: of a configured server and a change to it, the younger word counts. A change remembers what the configuration
// said when it was made; once the configuration says something else of that server, the change is dropped. So does the removal of a
// configured server. A server that was added and is configured later is a configured one from then on.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.hpp"
#include "upstream/options.hpp"
#include "upstream/server.hpp"

namespace steelyard {

// Who has brought a server into its pool.
enum class Origin : std::uint8_t { configuration, admin, registration };
[[nodiscard]] std::string_view name(Origin origin);

// What may be changed of a server that is there; nothing: as it was.
struct ServerChange {
  std::optional<std::uint32_t> weight;
  std::optional<bool> backup;
  std::optional<std::optional<std::uint32_t>> active_max;  // nullopt inside: the pool's per_server_max again
  std::optional<std::map<std::string, std::string>> labels;
  std::optional<bool> drained;  // no new traffic until that is taken back
  std::optional<ForcedHealth> forced;
  friend bool operator==(const ServerChange&, const ServerChange&) = default;
};

// A registration that expires unless it is renewed.
struct Lease {
  Duration length{0};
  Instant expires = never;
  std::string owner;                  // the name of the token that it was made with
  std::optional<std::uint32_t> load;  // exchanges under way there by the server's own count, when it last said so
  bool overdue = false;               // it has run out, and the server is kept because too many did at once
};

// One server as it is to be.
struct WantedServer {
  ServerOptions options;
  Origin origin = Origin::configuration;
  bool drained = false;
  ForcedHealth forced = ForcedHealth::none;
  std::optional<Lease> lease;
  std::uint64_t revision = 0;  // grows with each change to it, unique in the registry; renewals do not change it
};

// Under which a change is made (RFC 9110 §13.1.1, §13.1.2).
struct Precondition {
  std::optional<std::uint64_t> revision;  // of the server as the caller knows it
  bool absent = false;                    // there is no such server yet
};

// Why a change was not made. The sentence says what was found and what to do.
struct Refusal {
  enum class Kind : std::uint8_t { no_such_pool, no_such_server, exists, changed_since, not_owner, not_allowed, limit_reached, invalid };
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
    std::string owner;
  };
  struct Added {
    ServerOptions options;
    bool drained = false;
    ForcedHealth forced = ForcedHealth::none;
    std::optional<SavedLease> lease;
    std::uint64_t revision = 0;
  };
  struct Changed {
    ServerOptions configured;  // what the configuration said when the change was made
    ServerChange change;
    bool removed = false;
    std::uint64_t revision = 0;
  };
  struct PoolState {
    std::map<std::string, Added> added;      // by id
    std::map<std::string, Changed> changed;  // by id
  };
  std::map<std::string, PoolState> pools;  // by name; also those that the configuration does not have now
  std::uint64_t revision = 0;              // the highest
};

class Registry {
 public:
  // The pools of a new configuration. Returns a sentence for each change that is dropped or cannot be applied because of it.
  std::vector<std::string> configure(std::span<const PoolOptions> pools);
  // What was saved, once, after the first configure(). A lease that has run out meanwhile is one that runs out now; one that would
  // run longer than its length, because the clock was set back, runs for its length.
  std::vector<std::string> restore(RegistryState saved, const Moment& at);
  [[nodiscard]] RegistryState state(const Moment& at) const;
  // Grows with each change that state() would show.
  [[nodiscard]] std::uint64_t revision() const;

  // In the configuration's order, then those that were added, by id. Empty for a pool that there is not.
  [[nodiscard]] std::vector<WantedServer> servers(std::string_view pool) const;
  [[nodiscard]] std::expected<WantedServer, Refusal> server(std::string_view pool, std::string_view id) const;

  // By an operator. put() adds, or replaces what may be changed; an address cannot be changed, only by removing the server first.
  // `drained` and `forced` stay as they are.
  std::expected<Applied, Refusal> put(std::string_view pool, ServerOptions server, const Precondition& precondition);
  std::expected<Applied, Refusal> change(std::string_view pool, std::string_view id, const ServerChange& change,
                                         const Precondition& precondition);
  std::expected<Applied, Refusal> remove(std::string_view pool, std::string_view id, const Precondition& precondition);

  // By a server itself, with the token named `owner`. Announcing again is renewing, and may change weight, labels and limit. The
  // address must be literal and inside what the pool's registration allows. An id under a running lease cannot be taken with another
  // token nor for another address; an address under a running lease of the same owner goes over to the new id.
  std::expected<Applied, Refusal> announce(std::string_view pool, ServerOptions server, std::optional<Duration> lease,
                                           std::string_view owner, std::optional<std::uint32_t> load, const Moment& at);
  std::expected<Applied, Refusal> renew(std::string_view pool, std::string_view id, std::string_view owner,
                                        std::optional<std::uint32_t> load, const Moment& at);
  std::expected<Applied, Refusal> leave(std::string_view pool, std::string_view id, std::string_view owner);

  // Ends the leases that have run out. Where more than a pool's expired_share_max of its registered servers would go at once, and it
  // has at least three, they are kept as overdue: rather the network between them and us has failed than all of them. An overdue one
  // goes when `gone` says that it does not answer either, or when enough of the others renew again.
  struct Expired {
    std::string pool;
    std::string id;
    bool kept = false;
  };
  using Gone = std::function<bool(std::string_view pool, std::string_view id)>;
  std::vector<Expired> expire(const Moment& at, const Gone& gone);
  // When there may be something to expire.
  [[nodiscard]] Instant next_expiry() const;
};

}  // namespace steelyard
