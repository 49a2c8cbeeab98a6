#include "quota/limit.hpp"

#include <fmt/format.h>
#include <unistd.h>

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
    {&LimitCounters::evicted, &LimitCounts::evicted},
    {&LimitCounters::uncounted, &LimitCounts::uncounted},
};

// How what is counted is to be read: whatever decides where it is in memory, and what it says there.
std::string meaning_of(const LimitOptions& options) {
  std::string text = fmt::format("{} {} {}/{} {}", SlotTable::layout, options.keys_max, options.ipv4_prefix, options.ipv6_prefix,
                                 limit::meaning_of_states(options.rule));
  for (const KeyPart& part : options.key) {
    text += fmt::format(" {}:{}:{}:{}", static_cast<int>(part.source), static_cast<int>(part.from.kind), part.from.segment, part.from.name);
  }
  return text;
}

}  // namespace

LimitCounts Limit::counts() const {
  LimitCounts sum;
  for (const LimitCounters& counted : *memory.counters) {
    for (const auto& [counter, total] : pairs) sum.*total += (counted.*counter).value();
  }
  sum.evicted += memory.table->evicted();
  sum.uncounted += memory.table->uncounted();
  return sum;
}

void Limit::continue_from(const LimitCounts& earlier) const {
  LimitCounters& before = memory.counters->back();
  for (const auto& [counter, total] : pairs) {
    const std::uint64_t known = (before.*counter).value();
    if (earlier.*total > known) (before.*counter).add(earlier.*total - known);
  }
}

std::shared_ptr<LocalTable> LimitBook::table_for(const LimitOptions& options) const {
  const auto copied = std::ranges::find_if(
      copied_, [&](const CopiedLimit& each) { return each.name == options.name && each.meaning == meaning_of(options); });
  return std::make_shared<LocalTable>(options.keys_max, seed_, copied == copied_.end() ? FilePart{} : FilePart{copied_in_, copied->offset});
}

std::vector<CopiedLimit> LimitBook::copy_to(int file) const {
  std::vector<CopiedLimit> copied;
  std::uint64_t end = 0;
  for (const auto& [name, known] : known_) {
    const SlotTable& slots = known.memory.table->slots();
    if (known.options.rule.kind == limit::Kind::concurrent) continue;
    if (ftruncate(file, static_cast<off_t>(end + slots.bytes_in_file())) != 0 || !slots.copy_to({file, end})) break;
    copied.push_back({name, meaning_of(known.options), end});
    end += slots.bytes_in_file();
  }
  return copied;
}

void LimitBook::take_over(int file, std::vector<CopiedLimit> copied) {
  copied_in_ = file;
  copied_ = std::move(copied);
}

LimitMemory LimitBook::memory_for(const LimitOptions& options, const Known* known) const {
  LimitMemory memory;
  if (known != nullptr && meaning_of(known->options) == meaning_of(options)) {
    memory = known->memory;
  } else {
    memory.table = table_for(options);
    memory.refused_keys = std::make_shared<TopKeys>();
    memory.counters = known != nullptr ? known->memory.counters : std::make_shared<std::vector<LimitCounters>>(worker_count_ + 1);
    if (known != nullptr) {
      memory.counters->back().evicted.add(known->memory.table->evicted());
      memory.counters->back().uncounted.add(known->memory.table->uncounted());
    }
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
  copied_.clear();
  return list;
}

}  // namespace steelyard::quota
