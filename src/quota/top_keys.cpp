#include "quota/top_keys.hpp"

#include <algorithm>
#include <functional>

namespace steelyard::quota {

void TopKeys::add(std::string_view key, std::uint64_t hash) {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock.owns_lock()) {
    dropped_.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  const auto known = std::find(hashes_.begin(), hashes_.begin() + size_, hash);
  if (known != hashes_.begin() + size_) {
    ++entries_[known - hashes_.begin()].count;
    return;
  }
  // A new key takes the place of the one with the lowest count, and its count as well: it may have come so often before.
  std::size_t at = size_;
  if (size_ < entries_max) {
    ++size_;
  } else {
    at = std::ranges::min_element(entries_, {}, &Entry::count) - entries_.begin();
  }
  Entry& entry = entries_[at];
  hashes_[at] = hash;
  entry.error = entry.count++;
  entry.cut = key.size() > key_bytes_max;
  entry.key_bytes = static_cast<std::uint8_t>(key.copy(entry.key.data(), key_bytes_max));
}

std::vector<TopKey> TopKeys::top(std::size_t keys_max) const {
  std::vector<TopKey> keys;
  keys.reserve(entries_max);
  {
    const std::lock_guard lock(mutex_);
    for (const Entry& entry : entries_) {
      if (entry.count != 0) keys.push_back({{entry.key.data(), entry.key_bytes}, entry.cut, entry.count, entry.error});
    }
  }
  std::ranges::sort(keys, std::greater{}, &TopKey::count);
  keys.resize(std::min(keys.size(), keys_max));
  return keys;
}

void TopKeys::clear() {
  const std::lock_guard lock(mutex_);
  entries_ = {};
  size_ = 0;
}

}  // namespace steelyard::quota
