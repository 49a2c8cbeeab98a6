// The slow side of the pool: where blocks come from in the first place. Small classes are cut from 64 KiB slabs.
#include "runtime/block_pool.hpp"

#include <vector>

namespace steelyard {
namespace block_pool {

constinit thread_local std::array<FreeBlock*, small_classes + 7> free_blocks{};

namespace {

constexpr std::size_t slab_bytes = 64 * 1024;
constexpr std::size_t cut_max = 8 * 1024;

// Everything that this thread has taken from the system, returned when it ends.
struct Taken {
  std::vector<void*> blocks;
  std::size_t bytes = 0;
  char* slab = nullptr;
  std::size_t slab_left = 0;

  ~Taken() {
    free_blocks.fill(nullptr);
    for (void* block : blocks) ::operator delete(block);
  }
};

thread_local Taken taken;

void* from_system(std::size_t bytes) {
  void* const block = ::operator new(bytes);
  taken.blocks.push_back(block);
  taken.bytes += bytes;
  return block;
}

}  // namespace

void* take_new(std::size_t bytes) {
  const std::size_t size = block_capacity(bytes);
  if (size > cut_max) return from_system(size);
  if (taken.slab_left < size) {
    taken.slab = static_cast<char*>(from_system(slab_bytes));
    taken.slab_left = slab_bytes;
  }
  void* const block = taken.slab;
  taken.slab += size;
  taken.slab_left -= size;
  return block;
}

}  // namespace block_pool

std::size_t block_pool_bytes() { return block_pool::taken.bytes; }

}  // namespace steelyard
