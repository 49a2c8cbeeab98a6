// Which keys were refused most, for whoever runs the proxy to look at: a Space-Saving sketch (Metwally, Agrawal, El Abbadi 2005) of fixed
// size. Every key that is more than 1/entries of all refusals is in it; a count is never too low, and too high by `error` at most. Fed only
// by refusals. Any thread may use it: it is under a lock that nobody waits for but who reads, and what comes meanwhile is left out and
// counted as dropped.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace steelyard::quota {

struct TopKey {
  std::string key;  // its first bytes, as they came from the network
  bool cut = false;
  std::uint64_t count = 0;
  std::uint64_t error = 0;
};

class TopKeys {
 public:
  static constexpr std::size_t entries_max = 64;
  static constexpr std::size_t key_bytes_max = 64;

  // `hash` tells keys apart that are longer than what is kept of them. Takes no memory.
  void add(std::string_view key, std::uint64_t hash);
  // At most so many, the most refused first.
  [[nodiscard]] std::vector<TopKey> top(std::size_t keys_max = entries_max) const;
  // Counts from 0 again.
  void clear();
  [[nodiscard]] std::uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }

 private:
  struct Entry {
    std::uint64_t count = 0;  // 0: not in use
    std::uint64_t error = 0;
    std::uint8_t key_bytes = 0;
    bool cut = false;
    std::array<char, key_bytes_max> key;
  };

  mutable std::mutex mutex_;
  std::array<std::uint64_t, entries_max> hashes_{};  // apart, so that a search reads little
  std::array<Entry, entries_max> entries_{};
  std::size_t size_ = 0;
  std::atomic<std::uint64_t> dropped_{0};
};

}  // namespace steelyard::quota
