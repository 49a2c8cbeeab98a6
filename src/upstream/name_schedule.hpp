// What is known of one name, and when it is to be looked up again. Decides only: the outcome of a lookup, the time and chance are
// arguments. It neither asks (name_lookup.hpp) nor waits (resolver.hpp). One for each watched name, owned by its watch.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <vector>

#include "base/prng.hpp"
#include "base/time.hpp"
#include "net/address.hpp"
#include "upstream/resolve_options.hpp"

namespace steelyard {

struct ResolvedServer {
  SocketAddress address;
  std::uint32_t weight = 1;  // 1 to weight_max
  bool backup = false;
  friend bool operator==(const ResolvedServer&, const ResolvedServer&) = default;
};

// How a lookup ended. With servers and a problem it has succeeded in part: some targets of an SRV name could not be looked up.
struct LookupOutcome {
  std::vector<ResolvedServer> servers{};  // in any order, perhaps one twice
  Duration ttl = Duration::max();
  std::string problem{};  // why it failed
  std::string warning{};  // what was odd about an answer that is used nevertheless
};

// What is to be told of a name. The texts are sentences without their subject: "no DNS server answered in time".
struct NameReport {
  std::vector<ResolvedServer> servers{};  // primaries first, each part by address; the last that were found where a lookup failed
  bool servers_changed = false;           // since the report before
  std::string problem{};                  // why the latest lookup failed; empty: it has not
  std::string warning{};
};

class NameSchedule {
 public:
  // `options` outlive it.
  explicit NameSchedule(const ResolveOptions& options) : options_(options) {}

  // A lookup has ended. True where report() says something new: other servers, a first or another problem or warning, or the end of
  // a problem. An answer without servers counts as failed and leaves those known before.
  bool take(LookupOutcome outcome, Instant now, Prng& prng);

  [[nodiscard]] const NameReport& report() const { return report_; }
  // When the next lookup is due; at once before the first.
  [[nodiscard]] Instant next() const { return next_; }

 private:
  void order(LookupOutcome& outcome) const;
  [[nodiscard]] Duration delay(const LookupOutcome& outcome) const;

  const ResolveOptions& options_;
  NameReport report_;
  std::uint32_t failures_ = 0;  // in a row
  Instant next_;
};

}  // namespace steelyard
