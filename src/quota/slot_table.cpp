#include "quota/slot_table.hpp"

#include <sys/mman.h>

#include <algorithm>

#include "base/assert.hpp"

namespace steelyard::quota {

SlotTable::SlotTable(std::size_t keys_max) {
  // Four keys for eight slots: of so many at random 0.8 % find theirs taken (Poisson).
  const std::size_t sets = std::max<std::size_t>(keys_max / 4 + (keys_max % 4 != 0 ? 1 : 0), 1);
  void* memory = mmap(nullptr, sets * sizeof(Set), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  // As where `new` fails: addresses have run out, memory is not asked for yet.
  SY_ASSERT(memory != MAP_FAILED);
  sets_ = {static_cast<Set*>(memory), sets};
}

SlotTable::~SlotTable() { munmap(sets_.data(), sets_.size_bytes()); }

SlotTable::Words SlotTable::new_claim(std::uint32_t tag) {
  // The number of the thread and how many claims it has made: unique until 2^47 claims of one of the first 65,536 threads.
  static std::atomic<std::uint64_t> threads{0};
  thread_local std::uint64_t next = (threads.fetch_add(1, std::memory_order_relaxed) & 0xffffU) << 47U;
  return {claim_bit | next++, std::uint64_t{tag} << 32U};
}

State SlotTable::state(std::uint64_t hash) const {
  for (;;) {
    const Found found = find(set_of(hash), tag_of(hash));
    if (found.slot == nullptr || found.words.is_claim()) return {};
    if (found.slot->read() == found.words) return found.words.state();
  }
}

}  // namespace steelyard::quota
