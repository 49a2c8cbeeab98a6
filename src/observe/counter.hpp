// Numbers that one thread writes and any thread reads. With a single writer a plain load and store do, without a locked
// instruction; a reader may see a value that is a moment old, never a torn one.
#pragma once

#include <atomic>
#include <cstdint>

namespace steelyard {

// Only grows.
class Counter {
 public:
  void add(std::uint64_t amount = 1) { value_.store(value_.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

// Grows and shrinks.
class Gauge {
 public:
  void add(std::int64_t amount = 1) { set(value() + amount); }
  void subtract(std::int64_t amount = 1) { set(value() - amount); }
  void set(std::int64_t amount) { value_.store(amount, std::memory_order_relaxed); }
  [[nodiscard]] std::int64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::int64_t> value_{0};
};

}  // namespace steelyard
