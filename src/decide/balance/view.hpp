// The shape that all algorithms share: a view of one snapshot of a pool in, the position of one server out, nullopt when none
// may be taken. What an algorithm must remember (a cursor, a table worked out in advance) is an argument, and so are time and
// chance. Each algorithm is one file.
//
// A view is a small object with these functions, each a few loads from memory that workers share; a position is a server's
// place in the snapshot. Tests give views over plain arrays.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>

#include "decide/balance/estimate.hpp"

namespace steelyard::balance {

template <typename View>
concept SnapshotView = requires(const View& view, std::size_t position) {
  { view.size() } -> std::convertible_to<std::size_t>;
  // Its weight as it counts now, slow start included, in any unit that is the same for all; 0 gets nothing.
  { view.weight(position) } -> std::convertible_to<std::uint32_t>;
  // Exchanges under way, over all workers.
  { view.active(position) } -> std::convertible_to<std::uint32_t>;
  // What has been learnt of its speed and failures.
  { view.estimate(position) } -> std::convertible_to<const Estimate&>;
  // False: tried already, down, ejected or full.
  { view.may_take(position) } -> std::convertible_to<bool>;
};

}  // namespace steelyard::balance
