// Memory of one thread in size classes: coroutine frames, connections and small buffers come from here. Freed blocks are kept
// for the next of their size, so the steady state of a proxy allocates nothing. Blocks must be freed on the thread that took
// them (coroutines never migrate). Under a sanitizer every block is a plain allocation, so that misuse is seen.
//
// Size classes are multiples of 32 bytes up to 1 KiB, then powers of two up to 64 KiB; larger blocks go to the system. Blocks
// have no header: an idle connection is only as large as its parts.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <new>

namespace steelyard {

namespace block_pool {

inline constexpr std::size_t step_bytes = 32;
inline constexpr std::size_t small_max = 1024;
inline constexpr std::size_t pooled_max = 64 * 1024;
inline constexpr std::size_t small_classes = small_max / step_bytes;

#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer)
inline constexpr bool pooled = false;
#else
inline constexpr bool pooled = true;
#endif

struct FreeBlock {
  FreeBlock* next;
};

// Trivial, so that reaching it costs one instruction.
extern constinit thread_local std::array<FreeBlock*, small_classes + 7> free_blocks;

constexpr std::size_t class_of(std::size_t bytes) {
  if (bytes <= small_max) return (std::max<std::size_t>(bytes, 1) - 1) / step_bytes;
  return small_classes + static_cast<std::size_t>(std::bit_width(bytes - 1)) - 11;
}

void* take_new(std::size_t bytes);

}  // namespace block_pool

// What the size class of `bytes` really offers; asking for that much costs nothing more.
constexpr std::size_t block_capacity(std::size_t bytes) {
  if (bytes <= block_pool::small_max) return (block_pool::class_of(bytes) + 1) * block_pool::step_bytes;
  return bytes <= block_pool::pooled_max ? std::bit_ceil(bytes) : bytes;
}

inline void* take_block(std::size_t bytes) {
  if (!block_pool::pooled || bytes > block_pool::pooled_max) return ::operator new(bytes);
  block_pool::FreeBlock*& head = block_pool::free_blocks[block_pool::class_of(bytes)];
  block_pool::FreeBlock* const block = head;
  if (block == nullptr) [[unlikely]]
    return block_pool::take_new(bytes);
  head = block->next;
  return block;
}

inline void give_block(void* block, std::size_t bytes) noexcept {
  if (!block_pool::pooled || bytes > block_pool::pooled_max) return ::operator delete(block);
  block_pool::FreeBlock*& head = block_pool::free_blocks[block_pool::class_of(bytes)];
  auto* const freed = static_cast<block_pool::FreeBlock*>(block);
  freed->next = head;
  head = freed;
}

// Bytes that this thread's pool has taken from the system, in use or kept.
std::size_t block_pool_bytes();

// A class that derives from this lives in the thread's pool when allocated with new.
struct PoolAllocated {
  static void* operator new(std::size_t bytes) { return take_block(bytes); }
  static void operator delete(void* block, std::size_t bytes) noexcept { give_block(block, bytes); }
};

}  // namespace steelyard
