// Which tokens have been used, so that each is good for one request. Shared by all workers; a lock for each part of it. An id is kept
// until its token has expired, when nobody could use it any more.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <unordered_set>
#include <vector>

#include "decide/token/claims.hpp"

namespace steelyard {

class UsedTokens {
 public:
  static constexpr std::size_t ids_max_default = 1'000'000;
  explicit UsedTokens(std::size_t ids_max = ids_max_default) : ids_max_(ids_max) {}

  enum class Use : std::uint8_t {
    first,
    again,
    full,  // as many are remembered as may be: nothing can be said of this one
  };
  // `until_s`: when nobody will accept the token any more, which the clock `now_s` has not reached. From any thread.
  Use use(const token::Id& id, std::int64_t until_s, std::int64_t now_s);

  // What is remembered, by when it may be forgotten, and the same of another process, which is remembered here then. Of no more than there
  // is room for.
  using Ids = std::map<std::int64_t, std::vector<token::Id>>;
  [[nodiscard]] Ids ids() const;
  void add(const Ids& ids, std::int64_t now_s);

  [[nodiscard]] std::size_t size() const { return size_.load(std::memory_order_relaxed); }

 private:
  struct IdHash {
    std::size_t operator()(const token::Id& id) const;
  };
  struct alignas(64) Part {
    mutable std::mutex mutex;
    std::unordered_set<token::Id, IdHash> ids;
    Ids by_end;  // when they may be forgotten
  };
  void forget(Part& part, std::int64_t now_s);

  const std::size_t ids_max_;
  std::atomic<std::size_t> size_{0};
  std::array<Part, 16> parts_;
};

}  // namespace steelyard
