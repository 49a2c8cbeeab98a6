// Size classes are multiples of 32 bytes up to 1 KiB, then powers of two up to 64 KiB; larger blocks go to the system. Small
// classes are cut from 64 KiB slabs without a header for each block: an idle connection is only as large as its parts.
#include "runtime/block_pool.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <new>
#include <vector>

namespace steelyard {
namespace {

constexpr std::size_t step_bytes = 32;
constexpr std::size_t small_max = 1024;
constexpr std::size_t pooled_max = 64 * 1024;
constexpr std::size_t slab_bytes = 64 * 1024;
constexpr std::size_t small_classes = small_max / step_bytes;

#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer)
constexpr bool pooled = false;
#else
constexpr bool pooled = true;
#endif

struct FreeBlock {
  FreeBlock* next;
};

struct Pool {
  std::array<FreeBlock*, small_classes + 7> free{};
  char* slab = nullptr;
  std::size_t slab_left = 0;
  std::size_t taken_bytes = 0;
  std::vector<void*> slabs;  // everything taken from the system, returned when the thread ends

  ~Pool() {
    for (void* block : slabs) ::operator delete(block);
  }
};

thread_local Pool pool;

std::size_t class_of(std::size_t bytes) {
  if (bytes <= small_max) return (std::max<std::size_t>(bytes, 1) - 1) / step_bytes;
  return small_classes + static_cast<std::size_t>(std::bit_width(bytes - 1)) - 11;
}

void* from_system(std::size_t bytes) {
  void* block = ::operator new(bytes);
  pool.slabs.push_back(block);
  pool.taken_bytes += bytes;
  return block;
}

void* cut_from_slab(std::size_t bytes) {
  if (pool.slab_left < bytes) {
    pool.slab = static_cast<char*>(from_system(slab_bytes));
    pool.slab_left = slab_bytes;
  }
  void* block = pool.slab;
  pool.slab += bytes;
  pool.slab_left -= bytes;
  return block;
}

}  // namespace

std::size_t block_capacity(std::size_t bytes) {
  if (bytes <= small_max) return (class_of(bytes) + 1) * step_bytes;
  return bytes <= pooled_max ? std::bit_ceil(bytes) : bytes;
}

void* take_block(std::size_t bytes) {
  if (!pooled || bytes > pooled_max) return ::operator new(bytes);
  FreeBlock*& head = pool.free[class_of(bytes)];
  if (head != nullptr) {
    FreeBlock* block = head;
    head = block->next;
    return block;
  }
  const std::size_t size = block_capacity(bytes);
  return size <= 8 * 1024 ? cut_from_slab(size) : from_system(size);
}

void give_block(void* block, std::size_t bytes) noexcept {
  if (!pooled || bytes > pooled_max) return ::operator delete(block);
  FreeBlock*& head = pool.free[class_of(bytes)];
  auto* freed = static_cast<FreeBlock*>(block);
  freed->next = head;
  head = freed;
}

std::size_t block_pool_bytes() { return pool.taken_bytes; }

}  // namespace steelyard
