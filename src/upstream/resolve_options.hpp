// How servers' names are looked up. Filled by config/, with these defaults.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/time.hpp"
#include "net/address.hpp"

namespace steelyard {

// Which of a name's addresses count. The default asks for IPv6 addresses only where there is no IPv4 address.
enum class NameFamily : std::uint8_t { ipv4_else_ipv6, ipv4, ipv6, both };

struct ResolveOptions {
  NameFamily family = NameFamily::ipv4_else_ipv6;
  // An answer is good for as long as its TTL says, within these bounds; the bound itself for what has none (a file, an address).
  Duration ttl_min = 1s;
  Duration ttl_max = 5min;
  // After a failure: doubled with each one in a row.
  Duration retry_min = 1s;
  Duration retry_max = 30s;
  double jitter = 0.1;                   // of all of these, either way, so that many names do not stay in step
  Duration timeout = 1s;                 // of a DNS server in the first round; doubled in each further one
  std::uint32_t tries = 3;               // rounds over the DNS servers; one is also lost where a server ends a TCP connection meanwhile
  std::uint32_t addresses_max = 100;     // of one name, and targets of one SRV name
  std::vector<SocketAddress> servers{};  // DNS servers; names are then complete as they are. None: those of resolv_conf
  std::string resolv_conf = "/etc/resolv.conf";  // also says in which domains a short name is searched
  std::uint16_t resolv_conf_port = 53;           // of the DNS servers named there
  std::string hosts = "/etc/hosts";              // read anew with each lookup, and asked before DNS
};

}  // namespace steelyard
