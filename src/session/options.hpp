// What may be set about client sessions and about bodies on the way. Filled by config/, with these defaults.
#pragma once

#include <cstdint>

#include "base/time.hpp"
#include "wire/http/message.hpp"

namespace steelyard {

inline constexpr std::uint64_t unlimited = UINT64_MAX;

enum class Protocol : std::uint8_t { http, packet };

inline constexpr std::uint32_t packet_bytes_max_default = 64 * 1024;

enum class StatusPages : bool { off, on };

// What a listener is to the sessions that begin there.
struct ListenerRole {
  Protocol protocol = Protocol::http;
  StatusPages pages = StatusPages::off;
  std::uint32_t packet_bytes_max = packet_bytes_max_default;
};

// What to do with the exchange of a client that has ended its sending side: answer it, or take it for gone.
enum class HalfClose : std::uint8_t { answer, abort };

struct HttpOptions {
  http::HeadLimits head;
  std::uint64_t body_bytes_max = unlimited;  // of a request
  std::uint64_t requests_per_connection_max = unlimited;
  HalfClose client_half_close = HalfClose::answer;
};

struct TimeoutOptions {
  Duration header_read = 10s;        // from the first byte of a request to the end of its head
  Duration body_idle = 30s;          // without a byte of a body moving, either way
  Duration idle = 75s;               // of a client connection between requests
  Duration connect = 5s;             // to a server
  Duration first_byte = 60s;         // from the request sent to the first byte of the answer
  Duration total = Duration::max();  // a whole exchange
  Duration tunnel_idle = 3600s;      // of an upgraded connection, e.g. a WebSocket
  Duration drain = 30s;              // for exchanges under way once SIGTERM came
};

struct ConnectionOptions {
  std::uint32_t connections_max = 10'000;                 // of clients, in all
  std::uint32_t connections_per_client_max = 0xffffffff;  // from one address
};

}  // namespace steelyard
