// The servers that one pool is to have: what the configuration says, and what was changed since at run time, merged. Keeps an index of
// their addresses and the book of their leases true to that; who may change what is decided by Registry, which owns this and whose
// counter of revisions it is given.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "upstream/lease_book.hpp"
#include "upstream/registry_types.hpp"
#include "upstream/server.hpp"

namespace steelyard {

class WantedServers {
 public:
  explicit WantedServers(std::string name) : name_(std::move(name)) {}

  // What the configuration says now. Returns a sentence for each change that is dropped because of it.
  std::vector<std::string> configure(const PoolOptions& options, std::uint64_t& revision);
  // The configuration does not have the pool now: there are no servers, but what was changed is kept. Leases stand still.
  void suspend();
  [[nodiscard]] bool is_configured() const { return is_configured_; }
  [[nodiscard]] const std::optional<RegistrationOptions>& registration() const { return registration_; }

  // In place of what was changed so far.
  std::vector<std::string> restore(const RegistryState::PoolState& saved, const Moment& at, std::uint64_t& revision);
  [[nodiscard]] RegistryState::PoolState state(const Moment& at) const;
  [[nodiscard]] bool has_changes() const { return !added_.empty() || !changed_.empty(); }
  [[nodiscard]] std::string changes_in_words() const;
  // New revisions for what the configuration says.
  void restamp(std::uint64_t& revision);

  // The configured ones in their order, then the added ones in that in which they came.
  [[nodiscard]] std::vector<WantedServer> list() const;
  [[nodiscard]] std::optional<WantedServer> find(std::string_view id) const;
  // What the configuration says of it, even if it was removed at run time; nullptr: nothing.
  [[nodiscard]] const ServerOptions* configured(std::string_view id) const;
  [[nodiscard]] const std::string* id_at(const std::string& address) const;
  [[nodiscard]] std::size_t registered() const { return leases_.size(); }
  [[nodiscard]] std::size_t added_by_operators() const { return added_.size() - leases_.size(); }

  // As it is to be from now on. Of a configured one only the difference is kept.
  void store(WantedServer server);
  void remove(std::string_view id, std::uint64_t revision);
  // One that find() gave, with a lease.
  void renew(std::string_view id, Instant now, std::optional<std::uint32_t> load);
  // Of one that has a lease.
  void report(std::string_view id, const LoadReport& report);
  std::vector<LeaseBook::Verdict> expire(Instant now, const LeaseBook::Gone& gone, std::uint64_t& revision);
  [[nodiscard]] Instant next_expiry() const { return leases_.next(); }

 private:
  struct Configured {
    ServerOptions options;
    std::uint64_t revision = 0;
  };
  using AddedServers = std::map<std::string, WantedServer, std::less<>>;

  [[nodiscard]] bool is_removed(std::string_view id) const;
  [[nodiscard]] WantedServer merged(const Configured& configured) const;
  std::vector<std::string> reconcile(std::uint64_t& revision);
  [[nodiscard]] std::string why_stale(const std::string& id, const RegistryState::Changed& changed) const;
  [[nodiscard]] std::string why_configured(const WantedServer& server) const;
  void drop_not_allowed(std::vector<std::string>& sentences, std::uint64_t& revision);
  void fit_lease(WantedServer& server, std::uint64_t& revision) const;  // its length, from the next renewal on
  void index_addresses();
  AddedServers::iterator erase(AddedServers::iterator server);

  std::string name_;
  bool is_configured_ = false;
  std::optional<RegistrationOptions> registration_;
  std::vector<Configured> configured_;                      // in the configuration's order
  std::map<std::string, std::size_t, std::less<>> places_;  // in it, by id
  AddedServers added_;                                      // of their ids configured ones have only those that were removed
  std::map<std::string, RegistryState::Changed, std::less<>> changed_;
  std::map<std::string, std::string, std::less<>> ids_;  // of those that there are, by address
  LeaseBook leases_;                                     // of the added ones that have a lease
};

}  // namespace steelyard
