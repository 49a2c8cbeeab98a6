// What may be set about proxying: routes, and what the two sides are told about each other. Filled by config/.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ascii.hpp"
#include "decide/route/options.hpp"
#include "net/address.hpp"
#include "session/options.hpp"

namespace steelyard {

struct HeaderField {
  std::string name;
  std::string value;
};

// Applied in this order: remove, set, add.
struct HeaderEdits {
  std::vector<std::string> remove;
  std::vector<HeaderField> set;
  std::vector<HeaderField> add;
  [[nodiscard]] bool empty() const { return remove.empty() && set.empty() && add.empty(); }
  // Whether a field of that name does not go on as it is, be it received or of our own making.
  [[nodiscard]] bool replace(std::string_view name) const {
    if (remove.empty() && set.empty()) return false;
    return std::ranges::any_of(remove, [&](const std::string& removed) { return equals_ignoring_case(removed, name); }) ||
           std::ranges::any_of(set, [&](const HeaderField& field) { return equals_ignoring_case(field.name, name); });
  }
};

// Whether a request is carried to its server, or its client sent there itself.
enum class RouteMode : std::uint8_t {
  proxy,
  redirect,
  automatic,  // some are redirected, the others carried
};

// What a redirect's token says of the client.
struct ClientBinding {
  enum class Kind : std::uint8_t { exact, prefix, none };
  Kind kind = Kind::exact;
  std::uint8_t prefix_v4 = 24;  // with `prefix`; of an IPv6 address it is prefix_v6
  friend bool operator==(const ClientBinding&, const ClientBinding&) = default;
};
inline constexpr std::uint8_t client_prefix_v6 = 64;

// Which requests of a route in mode auto are redirected: those of these methods, and those that announce so large a body.
struct AutoRedirectOptions {
  std::vector<std::string> methods{"GET", "HEAD"};
  std::uint64_t body_bytes_min = 1ULL << 20U;
};

enum class TokenPlace : std::uint8_t { query, cookie };

struct RedirectOptions {
  std::uint16_t status = 307;
  std::string keys;  // a file with the keys that sign; "": redirects are not signed
  TokenPlace token_in = TokenPlace::query;
  std::string token_name = "steelyard_token";
  Duration lifetime = 30s;  // within which a client must arrive
  ClientBinding client;
  bool bind_query = true;
  AutoRedirectOptions automatic;
};

// Beside an application: only requests whose token allows just them go on to it.
struct GuardOptions {
  std::string keys;     // a file with the keys that check
  std::string server;   // as the gateway calls the server that this is
  std::string gateway;  // its URL, without path: who has no token is sent back there; "": is refused
  TokenPlace token_in = TokenPlace::query;
  std::string token_name = "steelyard_token";
  bool bind_query = true;
  Duration skew = 5s;  // that the gateway's clock may differ from this one's
  bool one_time = true;
  std::uint32_t hops_max = 5;  // how often a client is sent back
};

struct RouteOptions {
  std::string name;  // for logs and metrics; by default made from the match
  MatchOptions match;
  std::string pool;
  std::string host;  // the Host field that servers see: "" as the client sent it, "server" the server's address, else this text
  HeaderEdits request_headers;
  HeaderEdits response_headers;
  std::optional<Duration> first_byte_timeout;  // instead of the listener's
  std::optional<Duration> total_timeout;
  std::optional<std::uint64_t> body_bytes_max;
  bool repeat_any = false;  // requests of any method may be sent again: the servers recognise repetitions
  RouteMode mode = RouteMode::proxy;
  RedirectOptions redirect;
  std::optional<GuardOptions> guard;
  std::vector<std::string> limits{};  // by name
};

enum class ForwardedStyle : std::uint8_t { x_forwarded, forwarded, both, off };

struct ForwardedOptions {
  ForwardedStyle style = ForwardedStyle::x_forwarded;
  std::vector<Network> trusted_proxies;  // whose X-Forwarded-* and Forwarded fields are believed and extended
  bool via = true;
};

// Who may announce itself as a server by a packet.
enum class PacketRegistration : std::uint8_t {
  off,
  open,    // whoever is in the networks of the pool's registration
  secret,  // of these, who shows the token of the pool's registration
};

// A listener whose protocol is packet.
struct PacketOptions {
  std::string pool;  // where all of its packets go
  PacketRegistration registration = PacketRegistration::off;
  std::uint32_t bytes_max = packet_bytes_max_default;  // of one packet
  bool says_why = false;       // a packet that is not answered gets a JSON object that says why, before the connection ends
  bool keeps_servers = false;  // connections to servers serve more than one packet
  bool repeat_any = false;     // a packet may be sent again though a server may have acted on it: servers recognise repetitions
};

struct ListenerOptions {
  SocketAddress bind;
  bool status_pages = false;  // /__health__, /__status__, /__metrics__ on this listener
  Protocol protocol = Protocol::http;
  PacketOptions packet{};
  std::vector<std::string> limits{};  // by name
};
[[nodiscard]] inline ListenerRole role_of(const ListenerOptions& listener) {
  return {listener.protocol, listener.status_pages ? StatusPages::on : StatusPages::off, listener.packet.bytes_max};
}

}  // namespace steelyard
