// The embedded store of a limit: what every key has used, exact over all workers, in memory of fixed size. Shared by all threads; nothing
// here locks, allocates or waits (slot_table.hpp says how). One table belongs to one limit; the rule is an argument, so that a reload may
// change it while requests are under way, as long as limit::meaning_of_states() stays.
//
// Two keys whose 64-bit hashes agree in the set and in 32 other bits would share a count; the seed is secret, so that nobody can look
// for such keys. What has lapsed is free at once. Where more keys are live than there is room, the one that has used least gives way,
// of several the one that would lapse first, and `evicted` counts it: a flood of new keys pushes out itself, and who is over a limit
// stays so. What a key used is forgotten with it, so it may be allowed up to that much more than its limit.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/hash.hpp"
#include "decide/limit/rule.hpp"
#include "quota/slot_table.hpp"

namespace steelyard::quota {

class LocalTable {
 public:
  // About `keys_max` keys at once, in 32 bytes each.
  // Goes on with what slots().copy_to() of a table with the same seed has put there, if any.
  LocalTable(std::size_t keys_max, std::uint64_t seed, const FilePart& copy = {}) : hash_(seed), slots_(keys_max, copy) {}

  [[nodiscard]] std::uint64_t hash(std::string_view key) const { return hash_(key); }

  // Counts a request, if the rule allows it.
  limit::Verdict take(const limit::Rule& rule, std::uint64_t hash, Instant now, std::uint64_t cost = 1);
  // Undoes a take that was allowed and `counted`. `taken_at` is what `now` was there.
  void give_back(const limit::Rule& rule, std::uint64_t hash, Instant taken_at, std::uint64_t cost = 1);
  // What a request of cost 1 would be told; `remaining` includes it. Changes nothing.
  [[nodiscard]] limit::Verdict look(const limit::Rule& rule, std::uint64_t hash, Instant now) const;

  // Keys that gave way although something was counted of them.
  [[nodiscard]] std::uint64_t evicted() const { return slots_.evicted(); }
  // Takes that were allowed without being counted, because all that could have given way is under way (`concurrent` only).
  [[nodiscard]] std::uint64_t uncounted() const { return uncounted_.load(std::memory_order_relaxed); }
  // Of how many keys something is counted. Looks at all of the memory, which takes milliseconds: not for workers.
  [[nodiscard]] std::size_t count_keys(const limit::Rule& rule, Instant now) const;
  [[nodiscard]] std::size_t bytes() const { return slots_.bytes(); }
  [[nodiscard]] const SlotTable& slots() const { return slots_; }

 private:
  const KeyedHash hash_;
  SlotTable slots_;
  std::atomic<std::uint64_t> uncounted_{0};
};

}  // namespace steelyard::quota
