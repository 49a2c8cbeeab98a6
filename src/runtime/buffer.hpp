// Bytes that somebody keeps: a block of the thread's pool with a consumed front. Empty means no memory at all. Not for the data
// path of large bodies, which goes through the worker's scratch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <utility>

#include "runtime/block_pool.hpp"

namespace steelyard {

class Buffer {
 public:
  Buffer() = default;
  Buffer(Buffer&& other) noexcept { swap(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    Buffer taken(std::move(other));
    swap(taken);
    return *this;
  }
  ~Buffer() { release(); }

  [[nodiscard]] bool empty() const { return begin_ == end_; }
  [[nodiscard]] std::size_t size() const { return end_ - begin_; }
  [[nodiscard]] char* data() { return block_ + begin_; }
  [[nodiscard]] std::span<char> bytes() { return {block_ + begin_, size()}; }
  [[nodiscard]] std::string_view view() const { return {block_ + begin_, size()}; }

  void append(std::string_view more) {
    if (more.empty()) return;
    reserve(size() + more.size());
    std::memcpy(block_ + end_, more.data(), more.size());
    end_ += static_cast<std::uint32_t>(more.size());
  }
  void append(std::span<const char> more) { append(std::string_view(more.data(), more.size())); }

  // Forgets the first `count` bytes; gives the memory back with the last of them.
  void consume(std::size_t count) {
    begin_ += static_cast<std::uint32_t>(count);
    if (begin_ == end_) release();
  }
  void release() {
    if (block_ != nullptr) give_block(block_, capacity_);
    block_ = nullptr;
    begin_ = end_ = capacity_ = 0;
  }

  // Room for `total` bytes altogether.
  void reserve(std::size_t total) {
    if (begin_ + total <= capacity_) return;
    const std::size_t capacity = block_capacity(total < 2 * size() ? 2 * size() : total);
    char* const block = static_cast<char*>(take_block(capacity));
    const std::size_t kept = size();
    if (kept != 0) std::memcpy(block, block_ + begin_, kept);
    if (block_ != nullptr) give_block(block_, capacity_);
    block_ = block;
    capacity_ = static_cast<std::uint32_t>(capacity);
    begin_ = 0;
    end_ = static_cast<std::uint32_t>(kept);
  }

 private:
  void swap(Buffer& other) noexcept {
    std::swap(block_, other.block_);
    std::swap(begin_, other.begin_);
    std::swap(end_, other.end_);
    std::swap(capacity_, other.capacity_);
  }

  char* block_ = nullptr;
  std::uint32_t begin_ = 0;
  std::uint32_t end_ = 0;
  std::uint32_t capacity_ = 0;
};

}  // namespace steelyard
