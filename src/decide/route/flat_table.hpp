// What the router's index finds by hash: one open-addressing table of 16-byte slots, filled once and then only read. A lookup
// costs one cache miss, because a slot holds all that is compared: 64 bits of a keyed hash and a scope, which says in full what
// else the key consists of. The text behind the hash is not kept.
//
// So two texts of one scope with the same 64 bits would be taken for one. The key of the hash is secret: nobody can choose such
// texts, and chance makes a text of a request look like one of n entries once in 2^64 / n lookups (n = 10,000 and a million
// lookups a second: one in 58 years on average). What it would lead to is a route that the same client may name outright.
// That two of n configured texts are alike has a chance of n^2 / 2^65 at a start: one in 10^11 for 10,000.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/assert.hpp"

namespace steelyard::route {

class FlatTable {
 public:
  static constexpr std::uint32_t absent = UINT32_MAX;

  // A table for that many entries, which no insert() may exceed.
  explicit FlatTable(std::size_t entries = 0)
      : mask_(std::bit_ceil(std::max<std::size_t>(2 * entries, 2)) - 1), shift_(64 - std::popcount(mask_)), slots_(mask_ + 1) {}

  // The key must be new, the value not `absent`.
  void insert(std::uint64_t hash, std::uint32_t scope, std::uint32_t value) {
    SY_ASSERT(2 * size_ <= mask_ && value != absent);
    ++size_;
    std::size_t at = first_place(hash, scope);
    while (slots_[at].value != absent) at = (at + 1) & mask_;
    slots_[at] = {hash, scope, value};
  }

  // Ends at a free slot, and at least half of them are free.
  [[nodiscard]] std::uint32_t find(std::uint64_t hash, std::uint32_t scope) const {
    for (std::size_t at = first_place(hash, scope);; at = (at + 1) & mask_) {
      const Slot& slot = slots_[at];
      if (slot.value == absent || (slot.hash == hash && slot.scope == scope)) return slot.value;
    }
  }

  [[nodiscard]] bool empty() const { return size_ == 0; }

 private:
  struct alignas(16) Slot {
    std::uint64_t hash = 0;
    std::uint32_t scope = 0;
    std::uint32_t value = absent;  // absent: the slot is free
  };

  // The upper bits of a multiplication depend on all bits; entries of one hash and many scopes, such as the "/api" of every host,
  // are spread as well as entries of many hashes (Knuth, The Art of Computer Programming 3, §6.4).
  [[nodiscard]] std::size_t first_place(std::uint64_t hash, std::uint32_t scope) const {
    return (hash + scope * 0x9e3779b97f4a7c15U) >> shift_;
  }

  std::size_t size_ = 0;
  std::size_t mask_;
  int shift_;
  std::vector<Slot> slots_;
};

}  // namespace steelyard::route
