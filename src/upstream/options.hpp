// What may be set about pools and their servers. Filled by config/, with these defaults.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/time.hpp"
#include "decide/balance/options.hpp"
#include "decide/health/options.hpp"
#include "decide/policy/options.hpp"
#include "net/address.hpp"

namespace steelyard {

inline constexpr std::uint32_t active_unlimited = UINT32_MAX;

struct ServerOptions {
  std::string id{};    // unique in its pool; by default "host:port"
  std::string host{};  // an address or a name
  std::uint16_t port = 0;
  std::uint32_t weight = 1;                   // 0 to weight_max; 0 takes no new traffic but that of its sticky sessions
  bool backup = false;                        // takes traffic only while no other server does
  std::optional<std::uint32_t> active_max{};  // instead of the pool's per_server_max
  std::map<std::string, std::string> labels{};
  std::string public_url{};  // where clients reach it themselves, without a path; "": http:// and its address
  friend bool operator==(const ServerOptions&, const ServerOptions&) = default;
};
inline constexpr std::uint32_t weight_max = 1000;

// An operator's word on a server's health, above what checks and tries show.
enum class ForcedHealth : std::uint8_t { none, up, down };

// Both ends included.
struct StatusRange {
  std::uint16_t first = 200;
  std::uint16_t last = 200;
  friend bool operator==(const StatusRange&, const StatusRange&) = default;
};
[[nodiscard]] inline bool includes(const std::vector<StatusRange>& ranges, int status) {
  for (const StatusRange& range : ranges) {
    if (status >= range.first && status <= range.last) return true;
  }
  return false;
}

enum class CheckKind : std::uint8_t { http, tcp };

// Active checks.
struct HealthOptions {
  CheckKind kind = CheckKind::http;  // tcp: a connection that is accepted is healthy, and nothing is sent
  std::string method = "GET";
  std::string path = "/health";
  std::string host{};  // the Host field; "": the server's own address
  std::vector<std::pair<std::string, std::string>> headers{};
  std::vector<StatusRange> expect{{200, 200}};
  std::vector<StatusRange> drain_on{};  // a server that answers so asks for no new traffic
  std::string body{};                   // a text that the answer's body must contain; "": anything
  Duration interval = 5s;
  double jitter = 0.1;  // of the interval, either way
  Duration timeout = 2s;
  std::uint32_t fall = 1;       // failures in a row until a server is taken out
  std::uint32_t rise = 1;       // successes in a row until it is back
  bool before_traffic = false;  // a server takes no traffic before its first check has passed
  friend bool operator==(const HealthOptions&, const HealthOptions&) = default;
};

struct KeepaliveOptions {
  std::uint32_t idle_connections_max = 1024;  // kept open to one server by one worker
  Duration idle_timeout = 55s;
};

// What is tried again, where the request may be repeated. All under the budget.
struct RetryOptions {
  std::uint32_t tries_max = 3;  // servers tried for one request
  bool on_connect = true;       // no connection could be made: whatever the method
  bool on_reset = true;         // the connection ended before a byte of the answer
  bool on_timeout = true;       // try_timeout passed
  std::vector<StatusRange> on_statuses{{502, 504}};
  Duration try_timeout = Duration::max();  // from a try's start to its answer's head, where another server is left
  double budget = 0.2;                     // retries and hedges, as a share of the pool's requests in the last ten seconds
  std::uint32_t budget_floor = 10;         // that many are allowed in ten seconds however few requests there were
};

// A second try at another server while the first has not answered, for requests that may be repeated.
struct HedgeOptions {
  std::optional<Duration> after;  // nothing: the 95th percentile of the pool's time to answer
  Duration after_min = 5ms;       // but not before that
};

struct QueueOptions {
  std::uint32_t per_server_max = active_unlimited;  // exchanges under way at one server, over all workers
  std::uint32_t active_max = active_unlimited;      // in the whole pool
  std::uint32_t queue_max = 1024;                   // requests that wait for a free place
  Duration queue_timeout = 1s;                      // then 503
};

// The same client to the same server by a signed cookie.
struct StickyOptions {
  std::string cookie = "steelyard";
  std::string secret;               // "": a random one, so that sessions do not outlive the process
  std::optional<Duration> max_age;  // nothing: until the browser is closed
  bool secure = false;              // only over TLS
  bool follow_drained = true;       // sessions stay with a server that takes no other new traffic
};

// Servers that announce themselves, each under a lease that it has to renew.
struct RegistrationOptions {
  std::string token_file;         // holds the secret that they show; it serves for this pool only. "": only packets register
  std::vector<Network> networks;  // where they may be; nowhere else
  std::uint16_t port_min = 1024;
  std::uint16_t port_max = 65535;
  std::uint32_t servers_max = 1000;
  Duration lease = 30s;  // where a server asks for none
  Duration lease_min = 1s;
  Duration lease_max = 1h;
  double expired_share_max = 0.5;  // of its registered servers that may go at once because their leases ran out
};

enum class WhenAllDown : std::uint8_t { refuse, try_all };

struct PoolOptions {
  std::string name{};
  Algorithm algorithm = Algorithm::adaptive;
  balance::HashKeyOptions hash_key{};  // for Algorithm::hash
  double hash_load_max = 1.25;         // of the mean load, for Algorithm::hash
  std::vector<ServerOptions> servers{};
  std::optional<HealthOptions> health{};  // without it servers are taken as healthy until they fail
  std::optional<OutlierOptions> outliers = OutlierOptions{};
  WhenAllDown when_all_down = WhenAllDown::refuse;
  balance::SlowStartOptions slow_start{};
  KeepaliveOptions keepalive{};
  RetryOptions retries{};
  std::optional<HedgeOptions> hedging{};
  QueueOptions queue{};
  std::optional<StickyOptions> sticky{};
  std::optional<policy::PolicyOptions> policy{};  // without it every server may have every request
  std::optional<RegistrationOptions> registration{};
  std::vector<std::string> limits{};  // on its requests, by name
  Duration drain = 30s;               // for exchanges under way at a server that is removed
};

}  // namespace steelyard
