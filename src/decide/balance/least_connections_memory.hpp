// What least connections remembers of large pools: their servers in blocks, and the smallest load that was last seen in each.
// Belongs to the caller, one for each worker and pool; only that worker's picks touch it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "decide/balance/weighted_load.hpp"

namespace steelyard::balance {

// Those of a range of servers that share its smallest load.
struct Lightest {
  WeightedLoad load;
  std::uint64_t tied = 0;  // the sum of their weights; 0: nobody may be taken
  std::size_t first = 0;   // the first one's position

  void join(const Lightest& other) {
    const auto order = other.load <=> load;
    if (order < 0) *this = other;
    if (order == 0) tied += other.tied;
  }
};

// Fractions of 2^64 that follow each other so that any number of them in a row fills the range evenly (multiples of the golden
// ratio: Knuth, The Art of Computer Programming 3, 6.4, theorem S): turns by weight in any unit, without a schedule.
constexpr std::uint64_t evenly_spread(std::uint64_t count) { return count * 0x9e3779b97f4a7c15U; }
constexpr std::uint64_t share_of(std::uint64_t fraction, std::uint64_t whole) {
  return static_cast<std::uint64_t>((static_cast<unsigned __int128>(fraction) * whole) >> 64U);
}

class LeastConnectionsMemory {
 public:
  struct Place {
    std::size_t block = 0;
    std::uint64_t turn = 0;  // among the weights that are tied in it
  };

  // True when the number of servers is another than before: all blocks must be looked at. The only thing here that allocates.
  bool resize(std::size_t servers);

  [[nodiscard]] std::size_t blocks() const { return seen_.size(); }
  [[nodiscard]] std::size_t begin(std::size_t block) const { return block * block_size_; }
  [[nodiscard]] std::size_t end(std::size_t block) const { return std::min(servers_, begin(block) + block_size_); }
  Lightest& operator[](std::size_t block) { return seen_[block]; }

  // The block whose turn it is to be looked at.
  std::size_t rotate() { return rotation_ = rotation_ + 1 >= seen_.size() ? 0 : rotation_ + 1; }
  // A block with the smallest load; `fraction` says which of those that are tied, by the weights tied in them.
  [[nodiscard]] Place lightest(std::uint64_t fraction) const;

 private:
  std::vector<Lightest> seen_;
  std::size_t servers_ = 0;
  std::size_t block_size_ = 1;
  std::size_t rotation_ = 0;
};

}  // namespace steelyard::balance
