// Answers of DNS as values: addresses and services (SRV, RFC 2782), or why there are none. c-ares has taken the messages apart; what it
// leaves out, the time that SRV records are good for, is read here. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.hpp"
#include "net/address.hpp"

struct ares_addrinfo;

namespace steelyard {

enum class DnsStatus : std::uint8_t {
  found,
  none,    // there is no such name or it has no such record: asking again now gives the same
  failed,  // nothing is known
};

template <typename Record>
struct DnsAnswer {
  DnsStatus status = DnsStatus::failed;
  std::vector<Record> records{};
  Duration ttl = Duration::max();  // the shortest of all records on the way to these
  std::string reason{};            // where nothing was found
};

struct ServiceTarget {
  std::string host;  // complete, without a dot at the end
  std::uint16_t port = 0;
  std::uint16_t priority = 0;  // the lowest is tried first
  std::uint16_t weight = 0;
  friend auto operator<=>(const ServiceTarget&, const ServiceTarget&) = default;
};

// `status` as c-ares gave it; `kind` for the reason: "IPv4 address".
DnsAnswer<IpAddress> read_addresses(int status, const ares_addrinfo* found, std::string_view kind);
DnsAnswer<ServiceTarget> read_services(int status, std::span<const unsigned char> message);

// The shortest TTL in a message's answer section (RFC 1035 §4.1); nothing where the message is broken or has no answer.
std::optional<Duration> shortest_ttl(std::span<const unsigned char> message);

}  // namespace steelyard
