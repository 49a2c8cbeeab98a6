// What is known of one exchange: filled as it flows by whoever learns a part, read once at its end by the access log and the
// counters. Only views: the texts belong to the exchange and must live until AccessLog::Channel::write returns. An empty text or a
// zero means "not known" or "did not happen".
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/time.hpp"
#include "net/address.hpp"

namespace steelyard {

enum class Outcome : std::uint8_t {
  complete,     // the client was given the whole response
  client_gone,  // the client left before its response was complete
  truncated,    // the server's response broke off after its head had been passed on
  refused,      // answered by the proxy itself, because it refused the request or found no server for it
  redirected,   // answered by the proxy itself, which sent the client to the server
  tunnel,       // switched protocols or CONNECT; recorded when the tunnel ends
};
[[nodiscard]] std::string_view name(Outcome outcome);

inline constexpr std::size_t failed_tries_max = 8;  // of one exchange

// A try that failed and was followed by another. The texts are static or live as long as the exchange.
struct FailedTry {
  std::string_view server;
  std::string_view failure;
};

// Another server that the request was or may have been sent to, and by which promise it met the request's policy.
struct PolicyMet {
  std::string_view server;
  std::string_view promise;
};

inline constexpr std::size_t policy_also_max = 16;

struct AccessRecord {
  std::int64_t unix_us = 0;  // when the exchange began, microseconds since 1970 UTC
  IpAddress client;
  std::uint16_t client_port = 0;
  std::uint16_t status = 0;  // as sent to the client; 0: none was
  Outcome outcome = Outcome::complete;
  std::uint32_t tries = 0;  // sent, at one server or several
  std::string_view method;
  std::string_view host;
  std::string_view target;
  std::string_view protocol;  // "HTTP/1.1"
  std::string_view route;
  std::string_view pool;
  std::string_view server;
  std::string_view algorithm;              // of the pool
  std::string_view choice;                 // why that server, where it was not the algorithm: "session", "probe"…
  std::string_view policy_label;           // of what the request demanded of its server
  std::string_view policy;                 // the value that it demanded
  std::string_view policy_met;             // the promise by which the server met it
  std::span<const PolicyMet> policy_also;  // in other tries
  std::span<const FailedTry> failed_tries;
  std::string_view limit;  // on requests, that refused it
  std::string_view request_id;
  std::string_view user_agent;
  std::string_view failure;          // why a try failed or the request was refused
  std::uint64_t request_bytes = 0;   // of the body
  std::uint64_t response_bytes = 0;  // of the body
  Duration duration{0};
  Duration queue_time{0};       // waited for a place at a server
  Duration connect_time{0};     // spent on connecting; 0 on a reused connection
  Duration first_byte_time{0};  // from the start until the server's first byte
};

}  // namespace steelyard
