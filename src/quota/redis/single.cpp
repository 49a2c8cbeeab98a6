// One Redis that every key belongs to: at a fixed address, or wherever the Sentinels say that the master is.
#include <fmt/format.h>

#include <utility>

#include "quota/redis/nodes.hpp"
#include "quota/redis/sentinel.hpp"

namespace steelyard::quota {
namespace {

// One address after the other, where there are several.
class FixedLocator final : public Locator {
 public:
  explicit FixedLocator(const RedisOptions& options) : addresses_(options.addresses) {}
  Task<Link::Outcome<SocketAddress>> locate() override { co_return addresses_[next_ % addresses_.size()]; }
  void on_failure() override { ++next_; }
  [[nodiscard]] std::string name() const override { return fmt::format("redis {}", addresses_[next_ % addresses_.size()].to_string()); }

 private:
  const std::vector<SocketAddress>& addresses_;
  std::size_t next_ = 0;
};

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
  return std::make_unique<SingleNode>(setting, std::make_unique<FixedLocator>(setting.options), counters, seed);
}

std::unique_ptr<RedisNodes> make_sentinel(const LinkSetting& setting, RedisCounters& counters, std::uint64_t seed) {
  return std::make_unique<SingleNode>(setting, std::make_unique<SentinelLocator>(setting), counters, seed);
}

}  // namespace steelyard::quota
