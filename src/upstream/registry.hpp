// Which servers each pool is to have, whoever brought them: the configuration, an operator, or a server that has announced itself.
// The configuration is the base; what has been changed since then is a value of its own that outlives restarts (upstream/state_file).
// Here is who may do what (registry_changes.cpp: operators, registry_leases.cpp: the servers themselves); WantedServers merges.
// Decides only: time is an argument, nothing is opened, and the pools are told by whoever owns this. On the control thread.
//
// How both are merged: of a configured server and a change to it, the younger word counts. A change remembers what the configuration
// said when it was made; once the configuration says something else of that server, the change is dropped. So does the removal of a
// configured server. A server that was added and is configured later is a configured one from then on. A change that gives back what
// the configuration says leaves no trace.
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
#include "upstream/registry_types.hpp"
#include "upstream/server.hpp"
#include "upstream/wanted_servers.hpp"

namespace steelyard {

class Registry {
 public:
  static constexpr std::size_t added_max = 10'000;  // servers of one pool that operators may add

  // The pools of a new configuration. Returns a sentence for each change that is dropped or cannot be applied because of it. What was
  // changed in a pool that there is not any more is kept until there is again, and its leases stand still meanwhile.
  std::vector<std::string> configure(std::span<const PoolOptions> pools);
  // What was saved, once, after the first configure(). While nothing ran here no server could renew, so every lease has at least half
  // of its length to come, and none more than its length, wherever the clock of the day was set meanwhile.
  std::vector<std::string> restore(const RegistryState& saved, const Moment& at);
  [[nodiscard]] RegistryState state(const Moment& at) const;
  // Grows with each change of what servers() or state() would show, apart from renewals: those need not be written, because of what
  // restore() does with leases. So: write state() soon after revision() has grown, and once more at an orderly end.
  [[nodiscard]] std::uint64_t revision() const { return revision_; }

  // In the configuration's order, then those that were added, in theirs. Empty for a pool that there is not.
  [[nodiscard]] std::vector<WantedServer> servers(std::string_view pool) const;
  [[nodiscard]] std::expected<WantedServer, Refusal> server(std::string_view pool, std::string_view id) const;

  // By an operator. put() adds, or replaces what may be changed; an address cannot be changed, only by removing the server first, and
  // is in a pool once. `drained` and `forced` stay as they are. A registered server becomes the operator's, without a lease.
  std::expected<Applied, Refusal> put(std::string_view pool, ServerOptions server, const Precondition& precondition);
  std::expected<Applied, Refusal> change(std::string_view pool, std::string_view id, const ServerChange& change,
                                         const Precondition& precondition);
  std::expected<Applied, Refusal> remove(std::string_view pool, std::string_view id, const Precondition& precondition);

  // By a server itself, with the token named `owner`. Announcing again is renewing, and may change weight, labels and limit. The
  // address must be literal and inside what the pool's registration allows. An id under a running lease cannot be taken with another
  // token nor for another address; an address under a running lease of the same owner goes over to the new id, and what an operator
  // said of the server there (drained, forced) goes with it. Without `load` a renewal leaves what was said last.
  std::expected<Applied, Refusal> announce(std::string_view pool, ServerOptions server, std::optional<Duration> lease,
                                           std::string_view owner, std::optional<std::uint32_t> load, const Moment& at);
  // The same by a server that will never renew: it stays until another one announces itself under its id, or an operator removes it.
  std::expected<Applied, Refusal> announce_lasting(std::string_view pool, ServerOptions server, std::string_view owner, const Moment& at);
  std::expected<Applied, Refusal> renew(std::string_view pool, std::string_view id, std::string_view owner,
                                        std::optional<std::uint32_t> load, const Moment& at);
  // What one that has just been announced or renewed says of what it was sent by redirects.
  void report(std::string_view pool, std::string_view id, const LoadReport& report);
  std::expected<Applied, Refusal> leave(std::string_view pool, std::string_view id, std::string_view owner);

  // Ends the leases that have run out. Where more than a pool's expired_share_max of its registered servers would go at once, and it
  // has at least three, they are kept as overdue: rather the network between them and us has failed than all of them. An overdue one
  // goes when `gone` says that it does not answer either, or when enough of the others renew again. What is "at once" says LeaseBook.
  struct Expired {
    std::string pool;
    std::string id;
    bool kept = false;
  };
  using Gone = std::function<bool(std::string_view pool, std::string_view id)>;
  std::vector<Expired> expire(const Moment& at, const Gone& gone);
  // When there may be something to expire.
  [[nodiscard]] Instant next_expiry() const;

 private:
  std::expected<WantedServers*, Refusal> configured_pool(std::string_view name);
  Applied settle(WantedServers& pool, const WantedServer& before, WantedServer after);
  [[nodiscard]] Refusal no_such_pool(std::string_view name) const;
  std::expected<Applied, Refusal> add(WantedServers& pool, ServerOptions server);
  std::expected<WantedServers*, Refusal> registering_pool(std::string_view name, ServerOptions& server);
  std::expected<Applied, Refusal> admit(WantedServers& pool, ServerOptions server, Lease lease, Instant now);

  std::map<std::string, WantedServers, std::less<>> pools_;  // also those that the configuration does not have now
  std::uint64_t revision_ = 0;
};

}  // namespace steelyard
