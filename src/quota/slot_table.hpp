// A hash table of fixed size whose entries are 16-byte slots, each changed as a whole by one compare-and-swap: any number of threads
// count in it, exactly and without a lock. Nothing is ever removed: a slot whose state has lapsed is free for the next key, and where
// none is free the one whose loss matters least gives way. What the 96 bits of a state mean is the caller's business. LocalTable and
// LeaseTable are made of it.
//
// A key may be in any of the eight slots of its set (two cache lines). That two threads never count one key in two slots rests on this:
// 1. A new key comes into a slot as a *claim*, a value that is never used twice, with nothing counted.
// 2. A claim becomes a state by a compare-and-swap of whoever, after having seen the claim in its slot, has looked at all eight and seen
//    the key in no other. Where there are several claims of a key, all but the first are taken away by whoever sees them.
// 3. Were there states of one key in slots i and j, come from the claims ci and cj, cj placed after ci: whoever made cj a state looked at
//    slot i after cj was placed, hence after ci was. From then until now the key was in slot i, so it was seen there, against 2.
// A thread that stops half way holds up nobody: others make its claim a state themselves. A thread tries again only where another has
// got on. The two halves of a slot are read one after the other, so what was read may never have been there as a whole; no change can
// come of that, because the compare-and-swap fails, and what changes nothing is read twice.
#pragma once

#include <atomic>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>

#include "decide/limit/state.hpp"

namespace steelyard::quota {

using limit::State;

// How much is lost when a state gives way to another key. All zero: nothing, it is as good as empty.
struct Loss {
  std::uint64_t used = 0;
  std::int64_t left_ns = 0;

  friend auto operator<=>(const Loss&, const Loss&) = default;
};
inline constexpr Loss not_to_be_lost{UINT64_MAX, INT64_MAX};

enum class Update : std::uint8_t {
  done,     // the state is what the change made of it, or the change left it as it was
  no_room,  // a new key, and every slot of its set is not to be lost
};

// Where in a file in memory a table is. The descriptor is the caller's.
struct FilePart {
  int descriptor = -1;
  std::uint64_t offset = 0;
};

class SlotTable {
 public:
  // With `keys_max` keys less than 1 % find no free slot. It takes 32 bytes for each of them; the system gives memory only where it is
  // used. Goes on with what copy_to() of a table of as many keys has put there, in that part of the file itself, which nobody else changes
  // from now on; empty where there is no such part.
  explicit SlotTable(std::size_t keys_max, const FilePart& copy = {});
  ~SlotTable();
  SlotTable(const SlotTable&) = delete;
  SlotTable& operator=(const SlotTable&) = delete;

  // The key's state, all zero for one that is not there, becomes `change(state)`; all zero again, and its slot is empty. `loss` says of
  // other keys' states what it would cost to lose them; it is asked only for a new key. Both may be called several times, with states
  // that never were as well, and depend on nothing but the state; the last call of `change` is the one that counts.
  template <typename Change, typename LossOf>
  Update update(std::uint64_t hash, Change change, LossOf loss);

  // All zero for a key that is not there.
  [[nodiscard]] State state(std::uint64_t hash) const;

  // How many keys have a state of which `is_live(state)`. Looks at all of the memory.
  template <typename IsLive>
  [[nodiscard]] std::size_t count_keys(IsLive is_live) const;

  // What is counted at this moment, for another process, which must take `layout` for the same. False: there is no memory for it.
  static constexpr int layout = 1;  // of states in memory: another one for each change of it
  [[nodiscard]] bool copy_to(const FilePart& part) const;
  // How far apart in a file parts have to begin.
  [[nodiscard]] std::uint64_t bytes_in_file() const;

  // States that gave way although something was lost with them.
  [[nodiscard]] std::uint64_t evicted() const { return evicted_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::size_t bytes() const { return sets_.size_bytes(); }

 private:
  static constexpr std::size_t slots_per_set = 8;
  static constexpr std::uint64_t claim_bit = std::uint64_t{1} << 63U;

  // A slot's content. `tag` is never 0 but in an empty slot; a claim has the claim bit in `low`.
  struct Words {
    std::uint64_t low = 0;
    std::uint64_t high = 0;  // tag, then the high part of the state

    friend bool operator==(const Words&, const Words&) = default;
    [[nodiscard]] bool is_claim() const { return (low & claim_bit) != 0; }
    [[nodiscard]] std::uint32_t tag() const { return static_cast<std::uint32_t>(high >> 32U); }
    [[nodiscard]] State state() const { return {low, static_cast<std::uint32_t>(high)}; }
  };
  struct alignas(16) Slot {
    std::uint64_t low;
    std::uint64_t high;

    [[nodiscard]] Words read() const { return {__atomic_load_n(&low, __ATOMIC_SEQ_CST), __atomic_load_n(&high, __ATOMIC_SEQ_CST)}; }
    // Both halves as they were at one moment.
    [[nodiscard]] Words read_whole() const {
      Words words = read();
      for (Words again = read(); again != words; again = read()) words = again;
      return words;
    }
    bool replace(const Words& expected, const Words& desired);
  };
  struct alignas(128) Set {
    Slot slots[slots_per_set];
  };
  // What one look at all slots of a set has found of a key: its state, or else its first claim. A null slot: neither.
  struct Found {
    Slot* slot = nullptr;
    Words words;
    bool other_claims = false;  // there were, and are taken away
  };

  [[nodiscard]] Set& set_of(std::uint64_t hash) const {
    __extension__ using Wide = unsigned __int128;
    return sets_[static_cast<std::size_t>(Wide{hash} * sets_.size() >> 64U)];
  }
  // Bits that do not choose the set.
  static std::uint32_t tag_of(std::uint64_t hash) {
    const auto tag = static_cast<std::uint32_t>(hash);
    return tag != 0 ? tag : 1;
  }
  static Words words_of(std::uint32_t tag, State state) {
    return state == State{} ? Words{} : Words{state.low, std::uint64_t{tag} << 32U | state.high};
  }
  static Words new_claim(std::uint32_t tag);
  static Found find(Set& set, std::uint32_t tag);
  // Puts the claim where it costs least. Null slot: there is no room, or somebody else was there first (`words` is empty).
  template <typename LossOf>
  Slot* place(Set& set, const Words& claim, LossOf& loss, Update& outcome);
  template <typename Change, typename LossOf>
  Update update_in(Set& set, std::uint32_t tag, Found& own, Change& change, LossOf& loss);

  std::span<Set> sets_;
  alignas(64) std::atomic<std::uint64_t> evicted_{0};
};

// One instruction where there is one: CMPXCHG16B is part of x86-64-v2, CASP of ARMv8.1.
inline bool SlotTable::Slot::replace(const Words& expected, const Words& desired) {
  __extension__ using Wide __attribute__((may_alias)) = unsigned __int128;
  const auto wide = [](const Words& words) { return static_cast<Wide>(words.high) << 64U | words.low; };
  return __sync_bool_compare_and_swap(reinterpret_cast<Wide*>(this), wide(expected), wide(desired));
}

inline SlotTable::Found SlotTable::find(Set& set, std::uint32_t tag) {
  Found found;
  for (std::size_t i = 0; i < slots_per_set; ++i) {
    Slot& slot = set.slots[(tag + i) % slots_per_set];
    if (__atomic_load_n(&slot.high, __ATOMIC_SEQ_CST) >> 32U != tag) continue;
    const Words words = slot.read();
    if (words.tag() != tag) continue;
    if (!words.is_claim()) return {&slot, words, false};
    if (found.slot == nullptr) {
      found = {&slot, words, false};
    } else {
      slot.replace(words, {});
      found.other_claims = true;
    }
  }
  return found;
}

template <typename LossOf>
SlotTable::Slot* SlotTable::place(Set& set, const Words& claim, LossOf& loss, Update& outcome) {
  Slot* least = nullptr;
  Words least_words;
  Loss least_loss = not_to_be_lost;
  for (std::size_t i = 0; i < slots_per_set; ++i) {
    Slot& slot = set.slots[(claim.tag() + i) % slots_per_set];
    const Words words = slot.read();
    // Another key's claim is somebody's work: it costs him another round.
    const Loss costs = words == Words{} ? Loss{} : words.is_claim() ? Loss{UINT64_MAX, 0} : loss(words.state());
    if (costs >= least_loss) continue;
    least = &slot;
    least_words = words;
    least_loss = costs;
    if (costs == Loss{}) break;
  }
  if (least == nullptr) outcome = Update::no_room;
  if (least == nullptr || !least->replace(least_words, claim)) return nullptr;
  if (least_loss != Loss{} && !least_words.is_claim()) evicted_.fetch_add(1, std::memory_order_relaxed);
  return least;
}

template <typename Change, typename LossOf>
Update SlotTable::update(std::uint64_t hash, Change change, LossOf loss) {
  Found own;  // the claim that was placed here last
  Set& set = set_of(hash);
  const Update outcome = update_in(set, tag_of(hash), own, change, loss);
  // It may be there yet where the key was found in another slot.
  if (own.slot != nullptr) own.slot->replace(own.words, {});
  return outcome;
}

template <typename Change, typename LossOf>
Update SlotTable::update_in(Set& set, std::uint32_t tag, Found& own, Change& change, LossOf& loss) {
  Words seen;  // the claim that was in its slot before the look that follows
  for (;;) {
    const Found found = find(set, tag);
    if (found.slot == nullptr) {
      if (change(State{}) == State{}) return Update::done;
      Update outcome = Update::done;
      const Words claim = new_claim(tag);
      Slot* placed = place(set, claim, loss, outcome);
      if (outcome == Update::no_room) return outcome;
      own = {placed, claim, false};
      seen = placed != nullptr ? claim : Words{};
    } else if (found.words.is_claim()) {
      const bool alone = found.words == seen && !found.other_claims;
      if (alone && found.slot->replace(found.words, words_of(tag, change(State{})))) {
        if (found.words == own.words) own = {};
        return Update::done;
      }
      seen = found.words;
    } else {
      const State before = found.words.state();
      const State after = change(before);
      if (after == before ? found.slot->read() == found.words : found.slot->replace(found.words, words_of(tag, after))) return Update::done;
    }
  }
}

template <typename IsLive>
std::size_t SlotTable::count_keys(IsLive is_live) const {
  std::size_t live = 0;
  for (const Set& set : sets_) {
    for (const Slot& slot : set.slots) {
      const Words words = slot.read();
      if (words.tag() != 0 && !words.is_claim() && is_live(words.state())) ++live;
    }
  }
  return live;
}

}  // namespace steelyard::quota
