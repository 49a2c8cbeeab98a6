#include "upstream/pool_view.hpp"

#include <algorithm>
#include <cmath>

#include "base/hash.hpp"
#include "decide/balance/fastest.hpp"
#include "decide/balance/hash.hpp"
#include "decide/balance/ip_hash.hpp"
#include "decide/balance/random.hpp"
#include "decide/balance/round_robin.hpp"
#include "decide/balance/slow_start.hpp"

namespace steelyard {
namespace {

// Weights as algorithms see them, so that a share of a small weight is still a whole number.
constexpr std::uint32_t weight_unit = 1024;

// Its share of what its weight says; 1 when it is warm.
double share_of(Server& server, Instant now, const balance::SlowStartOptions& options) {
  const std::int64_t since = server.load.warm_since_ns.load(std::memory_order_relaxed);
  if (since == 0) return 1.0;
  const double share = balance::slow_start_share(now - Instant{since}, options);
  if (share >= 1.0) server.load.warm_since_ns.store(0, std::memory_order_relaxed);
  return share;
}

std::uint64_t active_in(const Tier& tier) {
  std::uint64_t active = 0;
  for (const Server* const server : tier.servers) active += server->load.active.load(std::memory_order_relaxed);
  return active;
}

bool is_one_of(std::span<Server* const> servers, const Server* server) { return std::ranges::find(servers, server) != servers.end(); }

}  // namespace

// What an algorithm sees of one tier in one search.
class PoolView::TierView {
 public:
  TierView(const Tier& tier, Search& search, const balance::SlowStartOptions& slow_start)
      : tier_(tier), search_(search), slow_start_(slow_start) {}

  [[nodiscard]] std::size_t size() const { return tier_.servers.size(); }
  [[nodiscard]] std::uint32_t weight(std::size_t i) const {
    Server& server = *tier_.servers[i];
    if (server.load.warm_since_ns.load(std::memory_order_relaxed) == 0) return server.weight() * weight_unit;
    return std::max(1U, static_cast<std::uint32_t>(server.weight() * weight_unit * share_of(server, search_.now, slow_start_)));
  }
  [[nodiscard]] std::uint32_t active(std::size_t i) const { return tier_.servers[i]->load.active.load(std::memory_order_relaxed); }
  [[nodiscard]] const balance::Estimate& estimate(std::size_t i) const { return tier_.servers[i]->load.estimate; }
  [[nodiscard]] bool may_take(std::size_t i) const {
    const Server* const server = tier_.servers[i];
    if (server->held(search_.passed_over) || server == search_.warming || is_one_of(search_.request.tried, server)) return false;
    if (!server->full()) return true;
    search_.full = true;
    return false;
  }

 private:
  const Tier& tier_;
  Search& search_;
  const balance::SlowStartOptions& slow_start_;
};

std::string_view name(Choice choice) {
  switch (choice) {
    case Choice::algorithm: return "algorithm";
    case Choice::session: return "session";
    case Choice::probe: return "probe";
    case Choice::last_resort: return "last_resort";
  }
  return "unknown";
}

PoolView::PoolView(Pool& pool, Connector& connector, std::uint32_t worker, std::uint64_t seed)
    : PoolView(pool, connector, pool.shard(worker), seed, std::make_shared<PoolView*>(this)) {}

PoolView::PoolView(Pool& pool, Connector& connector, PoolShard& shard, std::uint64_t seed, const std::shared_ptr<PoolView*>& self)
    : Worker(std::make_shared<const std::function<void()>>([&connector, self] {
        connector.post([self] {
          if (*self != nullptr) (*self)->pool_.queue().deliver(**self);
        });
      })),
      pool_(pool),
      shard_(shard),
      self_(self),
      prng_(seed),
      retry_cursor_(prng_.next() >> 1U) {
  refresh();
}

std::expected<Place, NoPlace> PoolView::take(const PickRequest& request, Instant now, Turn turn) {
  refresh();
  const auto group = group_of(request);
  if (!group) return std::unexpected(group.error());
  const std::uint32_t active_max = options().queue.active_max;
  const bool in_pool = active_max != active_unlimited;
  const bool overtakes = turn == Turn::none && pool_.limited() && pool_.queue().comes_first(request.demand);
  if (overtakes || (in_pool && !pool_.begin_exchange(active_max))) return std::unexpected(NoPlace::full);
  Search search{request, now, *group};
  auto place = search_place(search, in_pool);
  if (!place && in_pool) pool_.end_exchange();
  return place;
}

std::expected<Place, NoPlace> PoolView::search_place(Search& search, bool in_pool) {
  for (;;) {
    Choice choice = Choice::algorithm;
    Server* const server = choose(search, choice);
    if (server == nullptr) {
      // Perhaps because those that this view knows have been removed a moment ago.
      std::atomic_thread_fence(std::memory_order_acquire);
      if (pool_.version() == version_) break;
      refresh();
      const auto group = group_of(search.request);
      if (!group) return std::unexpected(group.error());
      search.group = *group;
      continue;
    }
    // Whatever led here, nobody has a place at a server that does not promise what is demanded.
    if (!meets(*server, search.request)) {
      shard_.broken_promises.add();
      return std::unexpected(NoPlace::no_server);
    }
    // Another worker may have taken its last place since: then it is seen to be full.
    if (!server->begin_exchange()) continue;
    shard_.active.add();
    return Place(*this, *server, choice, in_pool);
  }
  return std::unexpected(search.full ? NoPlace::full : NoPlace::no_server);
}

// Without a policy, all servers. A request that was read under another policy than the pool has now is not to be served by guess.
std::expected<const Group*, NoPlace> PoolView::group_of(const PickRequest& request) const {
  if (!members_->has_policy && !request.demand) [[likely]]
    return &members_->groups.front();
  if (!members_->has_policy || !request.demand || request.demand->label != options().policy->label) {
    return std::unexpected(NoPlace::outdated);
  }
  const Group* const group = members_->find(request.demand->value);
  if (group == nullptr) return std::unexpected(NoPlace::unmet);
  return group;
}

PoolView::GroupMemory& PoolView::memory_of(const Group& group) {
  std::unique_ptr<GroupMemory>& memory = memories_[static_cast<std::size_t>(&group - members_->groups.data())];
  if (!memory) memory = std::make_unique<GroupMemory>();
  return *memory;
}

// Whom a freed place is for is read from the server, which may be gone as soon as nothing is under way there.
void PoolView::end_exchange(Server& server, bool in_pool) {
  const bool kept = pool_.limited() && !server.promises.empty();
  const std::shared_ptr<const Server> keeper = kept ? server.shared_from_this() : nullptr;
  server.end_exchange();
  shard_.active.subtract();
  if (in_pool) pool_.end_exchange();
  if (!pool_.limited() || !pool_.queue().busy()) return;
  pool_.queue().on_place_free(kept ? std::span(server.promises.kinds()) : std::span<const policy::Kind>{});
}

Server* PoolView::choose(Search& search, Choice& choice) {
  const PickRequest& request = search.request;
  const Group& group = *search.group;
  if (Server* const server = request.session;
      server != nullptr && keeps_session(*server) && meets(*server, request) && !is_one_of(request.tried, server)) {
    choice = Choice::session;
    if (!server->full()) return server;
  }
  // A second try is there to succeed, not to find out.
  if (request.tried.empty()) {
    choice = Choice::probe;
    search.probe = pool_.claim_probe(group, request.demand, request.repeatable, search.now);
    if (search.probe && !search.probe->full()) return search.probe.get();
  }
  choice = Choice::algorithm;
  GroupMemory& memory = memory_of(group);
  if (Server* const server = choose_in(group.primary, memory.primary, search)) return server;
  if (search.full) return nullptr;
  if (Server* const server = choose_in(group.backup, memory.backup, search)) return server;
  if (search.full) return nullptr;
  choice = Choice::last_resort;
  return choose_last_resort(search);
}

Server* PoolView::choose_last_resort(Search& search) {
  const Group& group = *search.group;
  search.passed_over = static_cast<Holds>(~passive_holds);
  if (Server* const server = first_allowed(group.primary, search)) return server;
  if (Server* const server = first_allowed(group.backup, search)) return server;
  if (options().when_all_down == WhenAllDown::refuse) return nullptr;
  search.passed_over = drain_holds | bit(Hold::forced_down);
  return first_allowed(group.primary, search);
}

// By the pool's algorithm. A server in slow start gives back a part of its turns, as long as there is somebody else.
Server* PoolView::choose_in(const Tier& tier, Memory& memory, Search& search) {
  if (tier.weight_sum == 0) return nullptr;
  const TierView view(tier, search, options().slow_start);
  search.warming = nullptr;
  auto chosen = run_algorithm(tier, memory, view, search);
  if (!chosen || !waits_for_warmth(*tier.servers[*chosen], search)) return chosen ? tier.servers[*chosen] : nullptr;
  search.warming = tier.servers[*chosen];
  const auto instead = run_algorithm(tier, memory, view, search);
  search.warming = nullptr;
  return tier.servers[instead.value_or(*chosen)];
}

std::optional<std::size_t> PoolView::run_algorithm(const Tier& tier, Memory& memory, const TierView& view, const Search& search) {
  std::atomic<std::uint64_t>& cursor = search.request.tried.empty() ? search.group->state->cursor : retry_cursor_;
  switch (options().algorithm) {
    case Algorithm::adaptive: return balance::pick_adaptive(tier.schedule, prng_, memory.adaptive, view, search.now);
    case Algorithm::round_robin: return balance::pick_round_robin(tier.schedule, cursor, view);
    case Algorithm::least_connections: return balance::pick_least_connections(tier.schedule, cursor, memory.least_connections, view);
    case Algorithm::ip_hash: return balance::pick_ip_hash(*tier.by_client, search.request.key_hash, view);
    case Algorithm::hash: {
      const std::uint64_t active = members_->has_policy ? active_in(tier) : pool_.active();
      const balance::LoadBound bound{active, tier.weight_sum * weight_unit, options().hash_load_max};
      return balance::pick_hash(*tier.by_key, search.request.key_hash, bound, view);
    }
    case Algorithm::random: return balance::pick_random(tier.schedule, prng_, view);
    case Algorithm::fastest: return balance::pick_fastest(tier.schedule, prng_, view, search.now);
  }
  return std::nullopt;
}

// The hashes decide by the key, so that clients come back to a server one after the other and stay. Algorithms that weigh what
// each server has to do see its smaller weight already; among idle ones only turns count.
bool PoolView::waits_for_warmth(Server& server, const Search& search) {
  const double share = share_of(server, search.now, options().slow_start);
  if (share >= 1.0) return false;
  switch (options().algorithm) {
    case Algorithm::adaptive:
    case Algorithm::fastest: return false;
    case Algorithm::ip_hash:
    case Algorithm::hash: {
      const std::uint64_t place = Prng(search.request.key_hash ^ server.id_hash).next();
      return static_cast<double>(place >> 11U) * 0x1p-53 >= share;
    }
    default: return !prng_.chance(share);
  }
}

// Without an algorithm: all of them are in doubt.
Server* PoolView::first_allowed(const Tier& tier, Search& search) {
  if (tier.servers.empty() || (tier.askable == 0 && search.passed_over == static_cast<Holds>(~passive_holds))) return nullptr;
  const TierView view(tier, search, options().slow_start);
  std::size_t at = search.group->state->cursor.fetch_add(1, std::memory_order_relaxed) % tier.servers.size();
  for (std::size_t looked_at = 0; looked_at < tier.servers.size(); ++looked_at) {
    if (view.may_take(at)) return tier.servers[at];
    at = at + 1 == tier.servers.size() ? 0 : at + 1;
  }
  return nullptr;
}

// A drained server, or one of weight 0, keeps its sessions where the pool wants that.
bool PoolView::keeps_session(const Server& server) const {
  if (server.removed() || server.held(static_cast<Holds>(~drain_holds))) return false;
  const bool drained = server.weight() == 0 || server.held(drain_holds);
  return !drained || (options().sticky && options().sticky->follow_drained);
}

bool PoolView::charge_retry(Instant now) {
  const RetryOptions& retries = options().retries;
  if (!retry::within_budget(pool_.recent(second(now)), retries.budget, retries.budget_floor)) return false;
  shard_.window.add_retry(second(now));
  return true;
}

void PoolView::refresh() {
  const std::uint64_t version = pool_.version();
  if (version == version_) return;
  const auto before = std::exchange(members_, pool_.members());
  version_ = version;
  // What is remembered of a group goes on under the same promise.
  auto memories = std::exchange(memories_, {});
  memories_.resize(members_->groups.size());
  for (std::size_t i = 0; i < memories_.size() && before; ++i) {
    const Group* const known = before->find(members_->groups[i].promise);
    if (known != nullptr) memories_[i] = std::move(memories[static_cast<std::size_t>(known - before->groups.data())]);
  }
}

}  // namespace steelyard
