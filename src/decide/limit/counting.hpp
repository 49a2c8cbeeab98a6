// A request under a rule of any kind: what becomes of the key's state, and what the request is told. Pure. Total: every state whose
// highest bit of `low` is 0 is read as something, whatever rule it was written under, and the rule is one that problem() has nothing
// against. The instants of one key may come from clocks that differ a little: a state of the future counts as of now.
#pragma once

#include "decide/limit/bandwidth.hpp"
#include "decide/limit/concurrent.hpp"
#include "decide/limit/fixed_window.hpp"
#include "decide/limit/sliding_window.hpp"
#include "decide/limit/token_bucket.hpp"

namespace steelyard::limit {

// `cost` 0 changes nothing, and is allowed. What costs more than is ever allowed is told to come back after a period.
constexpr Step take(const Rule& rule, State state, Instant now, std::uint64_t cost) {
  now.ns = std::max<std::int64_t>(now.ns, 0);
  switch (rule.kind) {
    case Kind::token_bucket: return token_bucket::take(rule, state, now, cost);
    case Kind::fixed_window: return fixed_window::take(rule, state, now, cost);
    case Kind::sliding_window: return sliding_window::take(rule, state, now, cost);
    case Kind::concurrent: return concurrent::take(rule, state, cost);
    case Kind::bandwidth: return bandwidth::take(rule, state, now, cost);
  }
  return {state, {}};
}

// Undoes a take at `taken_at` that was allowed: because another limit has refused the same request, or because what is counted by
// `concurrent` is over. Where what was taken is no longer counted, nothing changes.
constexpr State give_back(const Rule& rule, State state, Instant taken_at, std::uint64_t cost) {
  taken_at.ns = std::max<std::int64_t>(taken_at.ns, 0);
  if (state == State{}) return state;
  switch (rule.kind) {
    case Kind::token_bucket:
    case Kind::bandwidth: return gcra::give_back(rule, state, taken_at, cost);
    case Kind::fixed_window: return fixed_window::give_back(rule, state, taken_at, cost);
    case Kind::sliding_window: return sliding_window::give_back(rule, state, taken_at, cost);
    case Kind::concurrent: return concurrent::give_back(state, cost);
  }
  return state;
}

// What a request of cost 1 would be told, had it not to be counted: `remaining` includes it.
constexpr Verdict look(const Rule& rule, State state, Instant now) {
  const Verdict verdict = take(rule, state, now, 0).verdict;
  return verdict.remaining != 0 || rule.kind == Kind::bandwidth ? verdict : take(rule, state, now, 1).verdict;
}

// For how long the state differs from that of a key that never came, if nobody comes; 0: it may be forgotten.
constexpr Duration left(const Rule& rule, State state, Instant now) {
  now.ns = std::max<std::int64_t>(now.ns, 0);
  switch (rule.kind) {
    case Kind::token_bucket:
    case Kind::bandwidth: return gcra::until_paid(state, now);
    case Kind::fixed_window: return fixed_window::left(rule, state, now);
    case Kind::sliding_window: return sliding_window::left(rule, state, now);
    case Kind::concurrent: return Duration{state.low == 0 ? 0 : INT64_MAX};
  }
  return Duration{0};
}

}  // namespace steelyard::limit
