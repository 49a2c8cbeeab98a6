#include "quota/redis/nodes.hpp"
namespace steelyard::quota {
std::unique_ptr<RedisNodes> make_cluster(const LinkSetting& setting, RedisCounters& counters, std::uint64_t seed) {
  return make_single(setting, counters, seed);
}
}  // namespace steelyard::quota
