#include "proxy/used_tokens.hpp"

#include <algorithm>
#include <cstring>

namespace steelyard {

// Ids are random, so any part of one will do.
std::size_t UsedTokens::IdHash::operator()(const token::Id& id) const {
  std::size_t bits = 0;
  std::memcpy(&bits, id.data(), sizeof bits);
  return bits;
}

UsedTokens::Use UsedTokens::use(const token::Id& id, std::int64_t expires_s, std::int64_t skew_s, std::int64_t now_s) {
  Part& part = parts_[id.back() % parts_.size()];
  const std::lock_guard lock(part.mutex);
  part.skew_s = std::max(part.skew_s, skew_s);
  forget(part, now_s);
  if (expires_s <= part.forgotten_s) return Use::again;
  return remember(part, id, expires_s);
}

UsedTokens::Use UsedTokens::remember(Part& part, const token::Id& id, std::int64_t expires_s) {
  if (part.ids.contains(id)) return Use::again;
  if (size_.fetch_add(1, std::memory_order_relaxed) >= ids_max_) {
    size_.fetch_sub(1, std::memory_order_relaxed);
    return Use::full;
  }
  part.ids.insert(id);
  part.by_end[expires_s].push_back(id);
  return Use::first;
}

UsedTokens::Memory UsedTokens::memory() const {
  Memory all;
  for (const Part& part : parts_) {
    const std::lock_guard lock(part.mutex);
    all.forgotten_s = std::max(all.forgotten_s, part.forgotten_s);
    for (const auto& [expires_s, ids] : part.by_end) {
      auto& into = all.ids[expires_s];
      into.insert(into.end(), ids.begin(), ids.end());
    }
  }
  return all;
}

void UsedTokens::add(const Memory& memory) {
  for (Part& part : parts_) {
    const std::lock_guard lock(part.mutex);
    part.forgotten_s = std::max(part.forgotten_s, memory.forgotten_s);
  }
  for (const auto& [expires_s, ids] : memory.ids) {
    for (const token::Id& id : ids) {
      Part& part = parts_[id.back() % parts_.size()];
      const std::lock_guard lock(part.mutex);
      if (expires_s > part.forgotten_s) remember(part, id, expires_s);
    }
  }
}

void UsedTokens::forget(Part& part, std::int64_t now_s) {
  // A second later than the last clock accepts it: another thread may have read its own just before.
  while (!part.by_end.empty() && part.by_end.begin()->first + part.skew_s < now_s) {
    part.forgotten_s = std::max(part.forgotten_s, part.by_end.begin()->first);
    for (const token::Id& id : part.by_end.begin()->second) part.ids.erase(id);
    size_.fetch_sub(part.by_end.begin()->second.size(), std::memory_order_relaxed);
    part.by_end.erase(part.by_end.begin());
  }
}

}  // namespace steelyard
