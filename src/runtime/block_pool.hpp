// Memory of one thread in size classes: coroutine frames, connections and small buffers come from here. Freed blocks are kept
// for the next of their size, so the steady state of a proxy allocates nothing. Blocks must be freed on the thread that took
// them (coroutines never migrate). Under a sanitizer every block is a plain allocation, so that misuse is seen.
#pragma once

#include <cstddef>

namespace steelyard {

void* take_block(std::size_t bytes);
void give_block(void* block, std::size_t bytes) noexcept;

// What the size class of `bytes` really offers; asking for that much costs nothing more.
std::size_t block_capacity(std::size_t bytes);

// Bytes that this thread's pool has taken from the system, in use or kept.
std::size_t block_pool_bytes();

// A class that derives from this lives in the thread's pool when allocated with new.
struct PoolAllocated {
  static void* operator new(std::size_t bytes) { return take_block(bytes); }
  static void operator delete(void* block, std::size_t bytes) noexcept { give_block(block, bytes); }
};

}  // namespace steelyard
