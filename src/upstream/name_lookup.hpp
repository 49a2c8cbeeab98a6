// One lookup of a name: its addresses, or the addresses of all targets of an SRV name. It knows how the answers make a list of
// servers, not when to look again (name_schedule.hpp). Owned by the name's watch, on the control thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "upstream/dns_channel.hpp"
#include "upstream/name_schedule.hpp"
#include "upstream/resolve_options.hpp"

namespace steelyard {

// What is looked up.
struct WatchedName {
  std::string name;        // of a host, or of a service: "_http._tcp.example.com"
  std::uint16_t port = 0;  // of a host; SRV records bring their own
  NameFamily family = NameFamily::ipv4_else_ipv6;
};

// Whether it begins with `_service._proto.` (RFC 2782).
[[nodiscard]] bool is_service_name(std::string_view name);

// The addresses of one host. An address counts as its own name. `localhost` and what ends in it are this machine, and DNS is not asked
// (RFC 6761 §6.3). Then the hosts file counts, and DNS only where that has no address of the wanted family.
class AddressLookup {
 public:
  using Done = std::function<void(DnsAnswer<IpAddress>)>;

  AddressLookup(DnsChannel& channel, const ResolveOptions& options, std::string host, NameFamily family);
  // Once. `done` may be called from within, and may destroy this.
  void start(Done done);

 private:
  void ask(AddressKind kind);
  void take(AddressKind kind, DnsAnswer<IpAddress> answer);
  void finish(DnsAnswer<IpAddress> answer);

  DnsChannel& channel_;
  const ResolveOptions& options_;
  const std::string host_;
  const NameFamily family_;
  DnsAnswer<IpAddress> ipv4_;
  Done done_;
  DnsChannel::QuestionHandle question_;
};

class NameLookup {
 public:
  using Done = std::function<void(LookupOutcome)>;

  // All outlive it.
  NameLookup(DnsChannel& channel, const ResolveOptions& options, const WatchedName& name);
  // Not while another run is under way. `done` may be called from within, and may destroy this.
  void run(Done done);

 private:
  struct Target {
    ServiceTarget service;
    std::unique_ptr<AddressLookup> lookup;
    DnsAnswer<IpAddress> answer;
  };

  void take_services(DnsAnswer<ServiceTarget> answer);
  void look_up_targets();
  void target_done();
  LookupOutcome make_outcome();
  [[nodiscard]] std::string describe_failure(const Target& target) const;

  DnsChannel& channel_;
  const ResolveOptions& options_;
  const WatchedName& name_;
  const bool is_service_;
  LookupOutcome outcome_;
  std::vector<Target> targets_;
  std::size_t under_way_ = 0;
  // The last addresses of each target. One that cannot be looked up keeps them, so that it takes nothing from the others.
  std::map<std::string, std::vector<IpAddress>> known_;
  DnsChannel::QuestionHandle question_;
  Done done_;
};

}  // namespace steelyard
