// How busy a server is for its weight: exchanges under way divided by the weight, which nobody needs to divide to compare.
#pragma once

#include <compare>
#include <cstdint>

#include "decide/balance/view.hpp"

namespace steelyard::balance {

struct WeightedLoad {
  std::uint32_t active = 1;
  std::uint32_t weight = 0;  // 0: more than any other load

  friend constexpr std::strong_ordering operator<=>(WeightedLoad a, WeightedLoad b) {
    return std::uint64_t{a.active} * b.weight <=> std::uint64_t{b.active} * a.weight;
  }
  friend constexpr bool operator==(WeightedLoad a, WeightedLoad b) { return (a <=> b) == 0; }
};

template <SnapshotView View>
WeightedLoad weighted_load(const View& view, std::size_t position) {
  return {.active = view.active(position), .weight = view.weight(position)};
}

}  // namespace steelyard::balance
