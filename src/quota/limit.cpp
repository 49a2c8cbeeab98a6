#include "quota/limit.hpp"

#include <utility>

#include "decide/limit/check.hpp"

namespace steelyard::quota {
namespace {

constexpr std::pair<Counter LimitCounters::*, std::uint64_t LimitCounts::*> pairs[] = {
    {&LimitCounters::passed, &LimitCounts::passed},
    {&LimitCounters::refused, &LimitCounts::refused},
    {&LimitCounters::would_refuse, &LimitCounts::would_refuse},
    {&LimitCounters::exempt, &LimitCounts::exempt},
    {&LimitCounters::unreachable, &LimitCounts::unreachable},
    {&LimitCounters::waited_us, &LimitCounts::waited_us},
};

// Whether what was counted by one means the same to the other.
bool counts_alike(const LimitOptions& before, const LimitOptions& after) {
  return before.key == after.key && before.ipv4_prefix == after.ipv4_prefix && before.ipv6_prefix == after.ipv6_prefix &&
         before.keys_max == after.keys_max && limit::keeps_states(before.rule, after.rule);
}

}  // namespace

LimitCounts Limit::counts() const {
  LimitCounts sum;
  for (const LimitCounters& counted : *memory.counters) {
    for (const auto& [counter, total] : pairs) sum.*total += (counted.*counter).value();
  }
  return sum;
}

void Limit::continue_from(const LimitCounts& earlier) const {
  LimitCounters& before = memory.counters->back();
  for (const auto& [counter, total] : pairs) {
    const std::uint64_t known = (before.*counter).value();
    if (earlier.*total > known) (before.*counter).add(earlier.*total - known);
  }
}

LimitMemory LimitBook::memory_for(const LimitOptions& options, const Known* known) const {
  LimitMemory memory;
  if (known != nullptr && counts_alike(known->options, options)) {
    memory = known->memory;
  } else {
    memory.table = std::make_shared<LocalTable>(options.keys_max, seed_);
    memory.refused_keys = std::make_shared<TopKeys>();
    memory.counters = known != nullptr ? known->memory.counters : std::make_shared<std::vector<LimitCounters>>(worker_count_ + 1);
  }
  const bool same_store = known != nullptr && known->options.store == options.store;
  if (options.store.empty()) {
    memory.leases = nullptr;
    memory.leasing = nullptr;
  } else if (!memory.leases || !same_store) {
    memory.leases = std::make_shared<LeaseTable>(options.keys_max, seed_);
    memory.leasing = std::make_shared<std::vector<std::unordered_set<std::uint64_t>>>(worker_count_);
  }
  return memory;
}

std::vector<std::shared_ptr<const Limit>> LimitBook::configure(const std::vector<LimitOptions>& limits,
                                                               const std::vector<StoreOptions>& stores) {
  std::vector<std::shared_ptr<const Limit>> list;
  std::map<std::string, Known> next;
  for (const LimitOptions& options : limits) {
    const auto known = known_.find(options.name);
    auto limit =
        std::make_shared<Limit>(Limit{.options = options, .memory = memory_for(options, known == known_.end() ? nullptr : &known->second)});
    if (const auto store = std::ranges::find(stores, options.store, &StoreOptions::name); store != stores.end()) {
      limit->store = static_cast<std::size_t>(store - stores.begin());
      limit->when_unreachable = store->when_unreachable;
    }
    next.emplace(options.name, Known{options, limit->memory});
    list.push_back(std::move(limit));
  }
  known_ = std::move(next);
  return list;
}

}  // namespace steelyard::quota
