#include "proxy/limit_use.hpp"

#include <algorithm>

namespace steelyard {

void LimitUse::on_last_bytes() {
  for (const Held& held : held_) held.limit->memory.table->give_back(held.limit->options.rule, held.hash, Instant{});
  held_.clear();
}

// The bytes are on their way: all of them count at once, and the slowest limit says when there may be more.
Duration LimitUse::spend(std::uint64_t bytes, Instant now) {
  Duration wait{0};
  for (const Paced& paced : paced_) {
    const auto verdict = paced.limit->memory.table->take(paced.limit->options.rule, paced.hash, now, bytes);
    if (verdict.retry_after.count() > 0) paced.counters->waited_us.add(static_cast<std::uint64_t>(verdict.retry_after / 1us));
    wait = std::max(wait, verdict.retry_after);
  }
  return wait;
}

}  // namespace steelyard
