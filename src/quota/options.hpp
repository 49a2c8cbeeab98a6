// What may be set about limits on requests. Filled by config/, with these defaults.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "decide/limit/rule.hpp"
#include "decide/policy/options.hpp"
#include "net/address.hpp"
#include "quota/redis/options.hpp"

namespace steelyard::quota {

// What requests are counted by, alone or together with other parts. One that does not have it, or has it in more than one way, counts by
// its client instead, so that nobody gets past a limit by leaving it out.
struct KeyPart {
  enum class Source : std::uint8_t {
    client,
    path,
    method,
    value,   // what `from` says
    policy,  // what it demands of its server
  };
  Source source = Source::client;
  policy::SourceOptions from{};
  friend bool operator==(const KeyPart&, const KeyPart&) = default;
};

// Which answers say by RateLimit fields how much is left.
enum class FieldsOn : std::uint8_t { refused, always, off };

struct LimitOptions {
  std::string name;
  std::vector<KeyPart> key{{}};
  std::uint8_t ipv4_prefix = 32;  // addresses alike in so many first bits are one client
  std::uint8_t ipv6_prefix = 64;
  limit::Rule rule;
  std::vector<Network> exempt;
  bool dry_run = false;  // it counts and says what it would have refused, and refuses nothing
  std::string body = "Rate limit exceeded";
  FieldsOn fields = FieldsOn::refused;
  std::uint32_t keys_max = 1'000'000;
  std::string store;        // "": this process's memory
  std::uint32_t lease = 0;  // so many requests are taken from the store ahead; 0: none
};

// So many names may stand in one list, and so many parts in one key.
inline constexpr std::size_t limits_max = 8;
inline constexpr std::size_t key_parts_max = 8;

// What becomes of requests while a store cannot be asked.
enum class WhenUnreachable : std::uint8_t {
  local,   // they are counted in this process's memory
  allow,   // they pass
  refuse,  // they are refused with 503
};

// Where limits are counted for several processes.
struct StoreOptions {
  std::string name;
  struct Place {
    std::string host;
    std::uint16_t port = 0;
    friend bool operator==(const Place&, const Place&) = default;
  };
  std::vector<Place> places{};  // of redis.addresses, which is filled when the names are known
  using Tls = tls::ClientOptions;
  Tls tls{};  // becomes redis.tls where that is spoken
  std::string password_file{};
  std::string sentinel_password_file{};
  RedisOptions redis{};
  WhenUnreachable when_unreachable = WhenUnreachable::local;
};

}  // namespace steelyard::quota
