#include "quota/slot_table.hpp"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "base/assert.hpp"

namespace steelyard::quota {

namespace {

constexpr std::size_t piece_sets = 512;  // that are copied at once

// nullptr: the file has no such part, or there is no room for it among the addresses.
void* map(const FilePart& part, std::size_t bytes) {
  struct stat file{};
  const bool is_there = fstat(part.descriptor, &file) == 0 && part.offset <= static_cast<std::uint64_t>(file.st_size) &&
                        bytes <= static_cast<std::uint64_t>(file.st_size) - part.offset;
  if (!is_there) return nullptr;
  void* const memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, part.descriptor, static_cast<off_t>(part.offset));
  return memory == MAP_FAILED ? nullptr : memory;
}

}  // namespace

SlotTable::SlotTable(std::size_t keys_max, const FilePart& copy) {
  // Four keys for eight slots: of so many at random 0.8 % find theirs taken (Poisson).
  const std::size_t sets = std::max<std::size_t>(keys_max / 4 + (keys_max % 4 != 0 ? 1 : 0), 1);
  void* memory = map(copy, sets * sizeof(Set));
  if (memory == nullptr) {
    memory = mmap(nullptr, sets * sizeof(Set), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  }
  // As where `new` fails: addresses have run out, memory is not asked for yet.
  SY_ASSERT(memory != MAP_FAILED);
  sets_ = {static_cast<Set*>(memory), sets};
}

bool SlotTable::copy_to(const FilePart& part) const {
  std::vector<Set> piece;
  for (std::size_t first = 0; first < sets_.size(); first += piece.size()) {
    piece.assign(std::min(sets_.size() - first, piece_sets), Set{});
    bool is_empty = true;
    for (std::size_t i = 0; i < piece.size(); ++i) {
      for (std::size_t j = 0; j < slots_per_set; ++j) {
        const Words words = sets_[first + i].slots[j].read_whole();
        // A claim is for who has made it.
        if (words.tag() == 0 || words.is_claim()) continue;
        piece[i].slots[j] = {words.low, words.high};
        is_empty = false;
      }
    }
    const std::size_t size = piece.size() * sizeof(Set);
    const auto at = static_cast<off_t>(part.offset + first * sizeof(Set));
    if (!is_empty && pwrite(part.descriptor, piece.data(), size, at) != static_cast<ssize_t>(size)) return false;
  }
  return true;
}

std::uint64_t SlotTable::bytes_in_file() const {
  const auto page_bytes = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  return (bytes() + page_bytes - 1) / page_bytes * page_bytes;
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
