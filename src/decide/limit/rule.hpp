// What a limit allows, and what it says to one request. Filled by config/, with these defaults.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/time.hpp"

namespace steelyard::limit {

enum class Kind : std::uint8_t {
  token_bucket,    // `count` a period, evenly; what was not used is saved up to `burst`
  fixed_window,    // `count` in a period that begins with its first request
  sliding_window,  // `count` in any period, however placed
  concurrent,      // `count` at once
  bandwidth,       // `count` bytes a period, evenly; who has used more than `burst` ahead waits
};

constexpr std::string_view name(Kind kind) {
  switch (kind) {
    case Kind::token_bucket: return "token_bucket";
    case Kind::fixed_window: return "fixed_window";
    case Kind::sliding_window: return "sliding_window";
    case Kind::concurrent: return "concurrent";
    case Kind::bandwidth: return "bandwidth";
  }
  return "unknown";
}

struct Rule {
  Kind kind = Kind::token_bucket;
  std::uint64_t count = 0;  // requests; of `bandwidth` bytes
  Duration period{0};       // of `concurrent` nothing
  std::uint64_t burst = 0;  // of `token_bucket` and `bandwidth`, at least 1

  friend bool operator==(const Rule&, const Rule&) = default;
};

struct Verdict {
  bool allowed = true;
  bool counted = true;          // false: allowed without being counted, for want of room; there is nothing to give back
  std::uint64_t remaining = 0;  // that would be allowed at once after this
  // From now, when this would be allowed if nobody else came; 0: it is allowed, or (`concurrent`) nobody knows. Of `bandwidth`, which
  // allows everything, how long to wait before going on.
  Duration retry_after{0};
  Duration reset{0};  // from now, when everything is as if nothing had ever come
};

}  // namespace steelyard::limit
