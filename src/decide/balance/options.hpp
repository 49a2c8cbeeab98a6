// What may be set about the choice of a server. Filled by config/, with these defaults.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/time.hpp"

namespace steelyard {

enum class Algorithm : std::uint8_t { adaptive, round_robin, least_connections, ip_hash, hash, random, fastest };

constexpr std::string_view name(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::adaptive: return "adaptive";
    case Algorithm::round_robin: return "round_robin";
    case Algorithm::least_connections: return "least_connections";
    case Algorithm::ip_hash: return "ip_hash";
    case Algorithm::hash: return "hash";
    case Algorithm::random: return "random";
    case Algorithm::fastest: return "fastest";
  }
  return "unknown";
}

namespace balance {

// What requests with the same value of go to the same server by. A request without it counts by its client's address.
struct HashKeyOptions {
  enum class Source : std::uint8_t { client, path, query, header, cookie };
  Source source = Source::client;
  std::string name;  // of the query parameter, the header field or the cookie
};

// A server that joins or comes back gets a growing share of what its weight says.
struct SlowStartOptions {
  Duration window{10s};  // 0: at once
  double floor = 0.1;    // the share it begins with
  double curve = 1.0;    // share = (age/window)^curve; 1 is a straight line, above 1 begins more slowly
};

}  // namespace balance
}  // namespace steelyard
