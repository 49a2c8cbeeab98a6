// Asks Sentinels where the master is, each time a connection is made: one after the other, beginning with the one that knew last.
// https://redis.io/docs/latest/develop/reference/sentinel-clients/
#pragma once

#include "quota/redis/node.hpp"

namespace steelyard::quota {

class SentinelLocator final : public Locator {
 public:
  explicit SentinelLocator(const LinkSetting& setting) : setting_(setting) {}
  // The last problem, where no Sentinel knows.
  Task<Link::Outcome<SocketAddress>> locate() override;
  void on_failure() override {}
  [[nodiscard]] std::string name() const override;

 private:
  Task<Link::Outcome<SocketAddress>> ask(const SocketAddress& sentinel);

  const LinkSetting& setting_;
  std::size_t first_ = 0;
};

}  // namespace steelyard::quota
