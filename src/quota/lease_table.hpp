// What one node knows of limits that are counted elsewhere: tokens that it took ahead for a key and may hand out by itself, and keys that
// were refused, so that nobody has to be asked about them again. Both are forgotten after a second at most. Shared by all threads, without
// a lock (slot_table.hpp); a key that had to give way is asked for again, and a lease is lost with it: less is handed out, never more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/hash.hpp"
#include "decide/limit/rule.hpp"
#include "quota/slot_table.hpp"

namespace steelyard::quota {

class LeaseTable {
 public:
  static constexpr Duration known_for_max = 1s;
  static constexpr std::uint64_t tokens_max = INT32_MAX;

  // About `keys_max` keys at once, in 32 bytes each.
  LeaseTable(std::size_t keys_max, std::uint64_t seed) : hash_(seed), slots_(keys_max) {}

  [[nodiscard]] std::uint64_t hash(std::string_view key) const { return hash_(key); }

  // Allowed out of a lease (`remaining` and `reset` are those of the lease), or refused as was said before; nothing: ask.
  std::optional<limit::Verdict> take(std::uint64_t hash, Instant now, std::uint64_t cost = 1);
  // Undoes a take out of a lease at `taken_at`, which was told `taken`. Only into the same lease: another one may be of another window.
  void give_back(std::uint64_t hash, Instant taken_at, const limit::Verdict& taken, std::uint64_t cost = 1);

  // `tokens` may be handed out until `until`, where the window of a fixed_window ends, and a second at most. They are added to those
  // that are left, and then all are good until the earlier end. The key is no longer refused.
  void grant(std::uint64_t hash, Instant now, std::uint64_t tokens, Instant until);
  // It was refused and told to come back after `retry_after`: that is remembered until then, and a second at most, unless there are
  // tokens left, which are to be handed out first.
  void refuse(std::uint64_t hash, Instant now, Duration retry_after);

  // Leases and refusals that gave way before their time.
  [[nodiscard]] std::uint64_t evicted() const { return slots_.evicted(); }
  // As of LocalTable.
  [[nodiscard]] std::size_t count_keys(Instant now) const;
  [[nodiscard]] std::size_t bytes() const { return slots_.bytes(); }

 private:
  const KeyedHash hash_;
  SlotTable slots_;
};

}  // namespace steelyard::quota
