// Which tokens have been used, so that each is good for one request. Shared by all workers; a lock for each part of it. An id is kept
// until its token has expired, when nobody could use it any more; should guards come to allow for more difference between clocks, tokens
// that might have been forgotten count as used.
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
  // Of a token that its guard accepts now, where clocks may differ by `skew_s`. From any thread.
  Use use(const token::Id& id, std::int64_t expires_s, std::int64_t skew_s, std::int64_t now_s);

  // What is remembered, for another process, and what another one has remembered: of no more than there is room for.
  using Ids = std::map<std::int64_t, std::vector<token::Id>>;  // by when their tokens expire
  struct Memory {
    Ids ids;
    std::int64_t forgotten_s = 0;  // tokens that expire by then may have been used and forgotten

    friend bool operator==(const Memory&, const Memory&) = default;
  };
  [[nodiscard]] Memory memory() const;
  void add(const Memory& memory);

  [[nodiscard]] std::size_t size() const { return size_.load(std::memory_order_relaxed); }

 private:
  struct IdHash {
    std::size_t operator()(const token::Id& id) const;
  };
  struct alignas(64) Part {
    mutable std::mutex mutex;
    std::unordered_set<token::Id, IdHash> ids;
    Ids by_end;
    std::int64_t skew_s = 0;  // the greatest so far
    std::int64_t forgotten_s = 0;
  };
  Use remember(Part& part, const token::Id& id, std::int64_t expires_s);
  void forget(Part& part, std::int64_t now_s);

  const std::size_t ids_max_;
  std::atomic<std::size_t> size_{0};
  std::array<Part, 16> parts_;
};

}  // namespace steelyard
