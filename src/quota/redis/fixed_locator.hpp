// Finds a Redis at addresses that do not change: one after the other, where there are several.
#pragma once

#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include "quota/redis/node.hpp"

namespace steelyard::quota {

class FixedLocator final : public Locator {
 public:
  explicit FixedLocator(std::vector<SocketAddress> addresses) : addresses_(std::move(addresses)) {}
  Task<Link::Outcome<SocketAddress>> locate() override { co_return addresses_[next_]; }
  void on_failure() override { next_ = (next_ + 1) % addresses_.size(); }
  [[nodiscard]] std::string name() const override { return fmt::format("redis {}", addresses_[next_].to_string()); }

 private:
  const std::vector<SocketAddress> addresses_;
  std::size_t next_ = 0;
};

}  // namespace steelyard::quota
