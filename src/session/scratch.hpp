// The hot memory of a worker, shared by all its connections: what is in it is valid only until the next co_await. Received
// bytes go to `data()`, which has room before it (a message head is put directly in front of the first bytes of its body, so
// that both leave in one send) and behind it (the end of a chunk).
#pragma once

#include <cstddef>
#include <memory>
#include <span>

namespace steelyard {

class Scratch {
 public:
  static constexpr std::size_t data_bytes = 256 * 1024;
  static constexpr std::size_t front_bytes = 128 * 1024;
  static constexpr std::size_t back_bytes = 16 * 1024;
  static constexpr std::size_t head_bytes = 128 * 1024;

  Scratch() : memory_(std::make_unique_for_overwrite<char[]>(front_bytes + data_bytes + back_bytes + head_bytes)) {}

  [[nodiscard]] std::span<char> data() { return {memory_.get() + front_bytes, data_bytes}; }
  // Where a message head is built.
  [[nodiscard]] std::span<char> head() { return {memory_.get() + front_bytes + data_bytes + back_bytes, head_bytes}; }

 private:
  std::unique_ptr<char[]> memory_;
};

}  // namespace steelyard
