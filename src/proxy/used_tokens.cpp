#include "proxy/used_tokens.hpp"

#include <cstring>

namespace steelyard {

// Ids are random, so any part of one will do.
std::size_t UsedTokens::IdHash::operator()(const token::Id& id) const {
  std::size_t bits = 0;
  std::memcpy(&bits, id.data(), sizeof bits);
  return bits;
}

UsedTokens::Use UsedTokens::use(const token::Id& id, std::int64_t until_s, std::int64_t now_s) {
  Part& part = parts_[id.back() % parts_.size()];
  const std::lock_guard lock(part.mutex);
  forget(part, now_s);
  if (part.ids.contains(id)) return Use::again;
  if (size_.fetch_add(1, std::memory_order_relaxed) >= ids_max_) {
    size_.fetch_sub(1, std::memory_order_relaxed);
    return Use::full;
  }
  part.ids.insert(id);
  part.by_end[until_s].push_back(id);
  return Use::first;
}

UsedTokens::Ids UsedTokens::ids() const {
  Ids all;
  for (const Part& part : parts_) {
    const std::lock_guard lock(part.mutex);
    for (const auto& [until_s, ids] : part.by_end) {
      auto& into = all[until_s];
      into.insert(into.end(), ids.begin(), ids.end());
    }
  }
  return all;
}

void UsedTokens::add(const Ids& ids, std::int64_t now_s) {
  for (const auto& [until_s, ended] : ids) {
    if (until_s <= now_s) continue;
    for (const token::Id& id : ended) use(id, until_s, now_s);
  }
}

void UsedTokens::forget(Part& part, std::int64_t now_s) {
  while (!part.by_end.empty() && part.by_end.begin()->first <= now_s) {
    for (const token::Id& id : part.by_end.begin()->second) part.ids.erase(id);
    size_.fetch_sub(part.by_end.begin()->second.size(), std::memory_order_relaxed);
    part.by_end.erase(part.by_end.begin());
  }
}

}  // namespace steelyard
