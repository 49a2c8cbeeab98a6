#include "decide/balance/least_connections_memory.hpp"

#include <cmath>

namespace steelyard::balance {

bool LeastConnectionsMemory::resize(std::size_t servers) {
  if (servers == servers_) return false;
  servers_ = servers;
  block_size_ = std::max<std::size_t>(1, static_cast<std::size_t>(std::lround(std::sqrt(static_cast<double>(servers)))));
  seen_.assign((servers + block_size_ - 1) / block_size_, Lightest{});
  rotation_ = 0;
  return true;
}

LeastConnectionsMemory::Place LeastConnectionsMemory::lightest(std::uint64_t fraction) const {
  Lightest total;
  for (const Lightest& block : seen_) total.join(block);
  std::uint64_t turn = share_of(fraction, total.tied);
  for (std::size_t i = 0; i < seen_.size(); ++i) {
    if (seen_[i].load != total.load) continue;
    if (turn < seen_[i].tied) return {.block = i, .turn = turn};
    turn -= seen_[i].tied;
  }
  return {};  // nobody may be taken
}

}  // namespace steelyard::balance
