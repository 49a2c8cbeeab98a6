// One Redis that every key belongs to: at a fixed address, or wherever the Sentinels say that the master is.
#include <utility>

#include "quota/redis/fixed_locator.hpp"
#include "quota/redis/nodes.hpp"
#include "quota/redis/sentinel.hpp"

namespace steelyard::quota {
namespace {

class SingleNode final : public RedisNodes {
 public:
  SingleNode(const LinkSetting& setting, std::unique_ptr<Locator> locator, RedisCounters& counters, std::uint64_t seed)
      : node_(setting, std::move(locator), Node::Part::alone, counters, seed) {}
  void start() override { node_.start(); }
  void stop() override { node_.stop(); }
  [[nodiscard]] bool running() const override { return node_.running(); }
  [[nodiscard]] bool available() const override { return node_.serving(); }
  Node* find(std::string_view /*key*/) override { return &node_; }
  Node* follow(const resp::Redirect& /*redirect*/, const Node& /*from*/) override { return nullptr; }

 private:
  Node node_;
};

}  // namespace

std::unique_ptr<RedisNodes> make_single(const LinkSetting& setting, RedisCounters& counters, std::uint64_t seed) {
  return std::make_unique<SingleNode>(setting, std::make_unique<FixedLocator>(setting.options.addresses), counters, seed);
}

std::unique_ptr<RedisNodes> make_sentinel(const LinkSetting& setting, RedisCounters& counters, std::uint64_t seed) {
  return std::make_unique<SingleNode>(setting, std::make_unique<SentinelLocator>(setting), counters, seed);
}

}  // namespace steelyard::quota
