#include "quota/local_table.hpp"

#include "decide/limit/counting.hpp"

namespace steelyard::quota {
namespace {

Loss loss(const limit::Rule& rule, State state, Instant now) {
  const Duration left = limit::left(rule, state, now);
  if (left.count() == 0) return {};
  if (rule.kind == limit::Kind::concurrent) return not_to_be_lost;
  // Whoever owes more time has used more.
  if (rule.kind == limit::Kind::token_bucket || rule.kind == limit::Kind::bandwidth) return {1, left.count()};
  return {rule.count - limit::take(rule, state, now, 0).verdict.remaining, left.count()};
}

}  // namespace

limit::Verdict LocalTable::take(const limit::Rule& rule, std::uint64_t hash, Instant now, std::uint64_t cost) {
  limit::Verdict verdict;
  const auto change = [&](State before) {
    const limit::Step step = limit::take(rule, before, now, cost);
    verdict = step.verdict;
    return step.state;
  };
  if (slots_.update(hash, change, [&](State state) { return loss(rule, state, now); }) == Update::no_room) {
    uncounted_.fetch_add(1, std::memory_order_relaxed);
    verdict.counted = false;
  }
  return verdict;
}

void LocalTable::give_back(const limit::Rule& rule, std::uint64_t hash, Instant taken_at, std::uint64_t cost) {
  slots_.update(hash, [&](State before) { return limit::give_back(rule, before, taken_at, cost); }, [](State) { return not_to_be_lost; });
}

limit::Verdict LocalTable::look(const limit::Rule& rule, std::uint64_t hash, Instant now) const {
  return limit::look(rule, slots_.state(hash), now);
}

std::size_t LocalTable::count_keys(const limit::Rule& rule, Instant now) const {
  return slots_.count_keys([&](State state) { return limit::left(rule, state, now).count() != 0; });
}

}  // namespace steelyard::quota
