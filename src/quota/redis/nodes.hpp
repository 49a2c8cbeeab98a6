// Which Redis a key belongs to: the one there is, or that of a Cluster. Owned by the store.
#pragma once

#include <memory>
#include <string_view>

#include "quota/redis/node.hpp"

namespace steelyard::quota {

class RedisNodes {
 public:
  virtual ~RedisNodes() = default;
  virtual void start() = 0;
  virtual void stop() = 0;
  [[nodiscard]] virtual bool running() const = 0;
  [[nodiscard]] virtual bool available() const = 0;
  // Whom to ask for this key; nullptr where that is not known.
  virtual Node* find(std::string_view key) = 0;
  // Whom `from` names instead; nullptr: nobody that could be asked.
  virtual Node* follow(const resp::Redirect& redirect, const Node& from) = 0;
};

// One Redis, at a fixed address or wherever Sentinels say.
std::unique_ptr<RedisNodes> make_single(const LinkSetting& setting, RedisCounters& counters, std::uint64_t seed);
std::unique_ptr<RedisNodes> make_sentinel(const LinkSetting& setting, RedisCounters& counters, std::uint64_t seed);
std::unique_ptr<RedisNodes> make_cluster(const LinkSetting& setting, RedisCounters& counters, std::uint64_t seed);

}  // namespace steelyard::quota
