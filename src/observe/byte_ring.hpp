// A ring of bytes between one producing and one consuming thread, without locks. The producer is lent a contiguous piece, writes
// a whole line there and commits it; the consumer sees committed bytes only, thus whole lines, as at most two pieces.
//
// A piece may reach over the end of the ring into a margin behind it; commit() then copies the overhang to the front. That costs one
// short copy in each lap and saves both sides every thought about where a lap ended.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>

namespace steelyard {

class ByteRing {
 public:
  ByteRing() = default;
  // `capacity` is a power of two; `piece_max` is the longest piece that can be asked for.
  ByteRing(std::size_t capacity, std::size_t piece_max)
      : bytes_(std::make_unique_for_overwrite<char[]>(capacity + piece_max)), capacity_(capacity), piece_max_(piece_max) {}

  [[nodiscard]] std::size_t capacity() const { return capacity_; }

  // Producer: room for piece_max bytes, or nullptr when the ring is too full.
  [[nodiscard]] char* reserve() {
    const std::size_t tail = tail_.load(std::memory_order_relaxed);
    if (capacity_ - (tail - head_seen_) < piece_max_) {
      head_seen_ = head_.load(std::memory_order_acquire);
      if (capacity_ - (tail - head_seen_) < piece_max_) return nullptr;
    }
    return bytes_.get() + (tail & (capacity_ - 1));
  }
  // Producer: the first `size` bytes of the reserved piece are the consumer's now.
  void commit(std::size_t size) {
    const std::size_t tail = tail_.load(std::memory_order_relaxed);
    const std::size_t end = (tail & (capacity_ - 1)) + size;
    if (end > capacity_) std::memcpy(bytes_.get(), bytes_.get() + capacity_, end - capacity_);
    tail_.store(tail + size, std::memory_order_release);
  }
  // Producer: whether the consumer has left more than half of the ring, as far as the producer must know.
  [[nodiscard]] bool half_full() {
    const std::size_t tail = tail_.load(std::memory_order_relaxed);
    if (tail - head_seen_ <= capacity_ / 2) return false;
    head_seen_ = head_.load(std::memory_order_acquire);
    return tail - head_seen_ > capacity_ / 2;
  }

  // Consumer: all that is committed, oldest first; the second piece may be empty.
  [[nodiscard]] std::array<std::string_view, 2> readable() const {
    const std::size_t head = head_.load(std::memory_order_relaxed);
    const std::size_t size = tail_.load(std::memory_order_acquire) - head;
    const std::size_t start = head & (capacity_ - 1);
    const std::size_t first = size < capacity_ - start ? size : capacity_ - start;
    return {std::string_view{bytes_.get() + start, first}, std::string_view{bytes_.get(), size - first}};
  }
  // Consumer: gives room back.
  void consume(std::size_t size) { head_.store(head_.load(std::memory_order_relaxed) + size, std::memory_order_release); }

 private:
  std::unique_ptr<char[]> bytes_;
  std::size_t capacity_ = 0;
  std::size_t piece_max_ = 0;
  alignas(64) std::atomic<std::size_t> tail_{0};  // producer's line
  std::size_t head_seen_ = 0;
  alignas(64) std::atomic<std::size_t> head_{0};  // consumer's line
};

}  // namespace steelyard
