#include "quota/lease_table.hpp"

#include <algorithm>

namespace steelyard::quota {
namespace {

// What a state says: `low` has the instant until which it is good; the highest bit of `high` tells refusals from leases, whose tokens are
// the other bits. Of a refusal these are the milliseconds from then until the key may come back.
constexpr std::uint32_t refused_bit = std::uint32_t{1} << 31U;
constexpr std::uint32_t tokens_max = refused_bit - 1;

State lease(std::uint64_t tokens, Instant until) {
  return {static_cast<std::uint64_t>(until.ns), static_cast<std::uint32_t>(std::min<std::uint64_t>(tokens, tokens_max))};
}

State refusal(Instant until, Duration then) {
  const auto then_ms = std::chrono::ceil<std::chrono::milliseconds>(then).count();
  return {static_cast<std::uint64_t>(until.ns), refused_bit | static_cast<std::uint32_t>(std::min<std::int64_t>(then_ms, tokens_max))};
}

bool is_refusal(State state) { return (state.high & refused_bit) != 0; }
std::uint32_t number(State state) { return state.high & tokens_max; }

// How long it is good yet; 0: no longer.
Duration left(State state, Instant now) {
  if (state == State{}) return Duration{0};
  // What a clock that is ahead has written counts as written now.
  return std::clamp(Instant{static_cast<std::int64_t>(state.low)} - now, Duration{0}, LeaseTable::known_for_max);
}

// A refusal spares the most questions, so it is worth more than any lease.
Loss loss(State state, Instant now) {
  const Duration good = left(state, now);
  if (good.count() == 0) return {};
  return {is_refusal(state) ? std::uint64_t{tokens_max} + 1 : number(state), good.count()};
}

}  // namespace

std::optional<limit::Verdict> LeaseTable::take(std::uint64_t hash, Instant now, std::uint64_t cost) {
  std::optional<limit::Verdict> verdict;
  const auto change = [&](State before) {
    verdict.reset();
    const Duration good = left(before, now);
    if (good.count() == 0) return before;
    if (is_refusal(before)) {
      const Duration back = good + std::chrono::milliseconds(number(before));
      verdict = {.allowed = false, .retry_after = back, .reset = back};
      return before;
    }
    if (number(before) < cost) return before;
    const State after{before.low, before.high - static_cast<std::uint32_t>(cost)};
    verdict = {.remaining = number(after), .reset = good};
    return after;
  };
  slots_.update(hash, change, [](State) { return not_to_be_lost; });
  return verdict;
}

void LeaseTable::give_back(std::uint64_t hash, Instant taken_at, const limit::Verdict& taken, std::uint64_t cost) {
  const Instant until = taken_at + taken.reset;
  const auto change = [&](State before) {
    if (is_refusal(before) || before != lease(number(before), until)) return before;
    return lease(number(before) + std::min(cost, tokens_max), until);
  };
  slots_.update(hash, change, [](State) { return not_to_be_lost; });
}

void LeaseTable::grant(std::uint64_t hash, Instant now, std::uint64_t tokens, Instant until) {
  until = std::min(until, now + known_for_max);
  if (until <= now || tokens == 0) return;
  const auto change = [&](State before) {
    if (is_refusal(before) || number(before) == 0 || left(before, now).count() == 0) return lease(tokens, until);
    const Instant earlier = std::min(until, Instant{static_cast<std::int64_t>(before.low)});
    return lease(number(before) + std::min(tokens, tokens_max), earlier);
  };
  slots_.update(hash, change, [&](State state) { return loss(state, now); });
}

void LeaseTable::refuse(std::uint64_t hash, Instant now, Duration retry_after) {
  const Duration known = std::min(retry_after, known_for_max);
  if (known.count() <= 0) return;
  const auto change = [&](State before) {
    const bool tokens_left = !is_refusal(before) && number(before) != 0 && left(before, now).count() != 0;
    return tokens_left ? before : refusal(now + known, retry_after - known);
  };
  slots_.update(hash, change, [&](State state) { return loss(state, now); });
}

std::size_t LeaseTable::count_keys(Instant now) const {
  return slots_.count_keys([&](State state) { return left(state, now).count() != 0; });
}

}  // namespace steelyard::quota
