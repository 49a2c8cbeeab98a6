// What CLUSTER SLOTS answers, as a value: which master has which slots. Pure.
// https://redis.io/docs/latest/commands/cluster-slots/
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <vector>

#include "net/address.hpp"
#include "wire/resp/reply.hpp"

namespace steelyard::quota {

struct SlotRange {
  std::uint16_t first = 0;
  std::uint16_t last = 0;
  SocketAddress master;
  friend bool operator==(const SlotRange&, const SlotRange&) = default;
};

// `asked`: who answered, which leaves its own address out where it does not know it. At least one range; what is wrong, in words. A node
// that is told by its name is refused: names are not looked up here.
[[nodiscard]] std::expected<std::vector<SlotRange>, std::string> read_slot_table(const resp::Reply& reply, const SocketAddress& asked);

}  // namespace steelyard::quota
