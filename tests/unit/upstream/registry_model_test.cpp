// Random operations on the registry beside the same on a naive model: the same servers, the same refusals, and what must hold always.
#include "upstream/registry_model.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/prng.hpp"
#include "support/registered_pools.hpp"
#include "upstream/registry.hpp"
#include "upstream/state_text.hpp"

namespace steelyard {
namespace registry_model_test {

using namespace model;

constexpr int seeds = 2000;
constexpr int operations = 60;
constexpr std::int64_t day_s = 86'400;

class World {
 public:
  explicit World(std::uint64_t seed) : prng_(seed) {
    reload();
    shown_ = shown(registry_);
  }

  void step() {
    const std::uint64_t revision = registry_.revision();
    switch (prng_.below(12)) {
      case 0: reload(); break;
      case 1: restart(); break;
      case 2:
      case 3: put(); break;
      case 4: change(); break;
      case 5: remove(); break;
      case 6:
      case 7: announce(); break;
      case 8: renew(); break;
      case 9: leave(); break;
      default: expire(); break;
    }
    compare();
    ASSERT_GE(registry_.revision(), revision);
    const std::string before = std::exchange(shown_, shown(registry_));
    if (before != shown_) ASSERT_GT(registry_.revision(), revision);
  }

 private:
  std::string any(std::initializer_list<const char*> words) { return *(words.begin() + prng_.below(words.size())); }
  std::string any_id() { return "s" + std::to_string(prng_.below(7)); }
  std::string any_pool() { return any({"app", "app", "app", "api", "none"}); }
  std::string any_owner() { return any({"token", "token", "token", "other"}); }
  ServerOptions any_server() {
    ServerOptions server{.id = any_id(), .host = "10.0.0." + std::to_string(prng_.below(9)), .port = 8000};
    server.weight = static_cast<std::uint32_t>(prng_.below(3));
    if (prng_.chance(0.1)) server.active_max = 5;
    if (prng_.chance(0.1)) server.labels["zone"] = any({"a", "b"});
    return server;
  }
  [[nodiscard]] Moment moment() const { return {now_, unix_s_}; }
  PoolModel& model(const std::string& name) { return pools_.try_emplace(name, PoolModel{.name = name}).first->second; }

  PoolOptions any_pool_options(const std::string& name) {
    PoolOptions options = registered::pool(name, {});
    options.registration->servers_max = 5;
    options.registration->expired_share_max = prng_.chance(0.5) ? 0.5 : 0.3;
    if (prng_.chance(0.2)) options.registration->networks = {*Network::parse("10.0.0.0/30")};
    if (prng_.chance(0.1)) options.registration.reset();
    for (int i = 0; i < 3; ++i) {
      const ServerOptions server = any_server();
      const auto clashes = [&](const ServerOptions& other) { return other.id == server.id || same_address(other, server); };
      if (std::ranges::none_of(options.servers, clashes)) options.servers.push_back(server);
    }
    return options;
  }
  void reload() {
    // Mostly one thing is other than it was.
    std::erase_if(configured_, [&](const auto&) { return prng_.chance(0.15); });
    for (const char* name : {"app", "api"}) {
      if (prng_.chance(0.8)) configured_.try_emplace(name, any_pool_options(name));
    }
    for (auto& [name, options] : configured_) {
      if (prng_.chance(0.3)) options = any_pool_options(name);
      if (prng_.chance(0.3) && !options.servers.empty()) options.servers[prng_.below(options.servers.size())].weight = 2;
    }
    registry_.configure(all_configured());
    for (auto& [name, pool] : pools_) pool.configured = false;
    for (const auto& [name, options] : configured_) model(name).configure(options);
  }
  std::vector<PoolOptions> all_configured() {
    std::vector<PoolOptions> all;
    for (const auto& [name, options] : configured_) all.push_back(options);
    return all;
  }

  // A new process, perhaps after a while, with another idea of the time.
  void restart() {
    const auto state = parse_state(spell_state(registry_.state(moment())));
    ASSERT_TRUE(state) << state.error();
    ASSERT_TRUE(*state == registry_.state(moment()));
    const Instant old_now = now_;
    const std::int64_t old_unix_s = unix_s_;
    unix_s_ += static_cast<std::int64_t>(prng_.below(100));
    if (prng_.chance(0.2)) unix_s_ += prng_.chance(0.5) ? day_s : -day_s;
    now_ = Instant{static_cast<std::int64_t>(prng_.below(1'000)) * 1'000'000'000};
    registry_ = Registry{};
    registry_.configure(all_configured());
    for (const std::string& sentence : registry_.restore(*state, moment())) ASSERT_TRUE(sentence.contains("is kept")) << sentence;
    ASSERT_EQ(shown(registry_), shown_);

    for (auto& [name, pool] : pools_) {
      pool.ended.clear();
      for (Row& row : pool.added) {
        if (!row.server.lease) continue;
        Lease& lease = *row.server.lease;
        const Duration left = (lease.expires - old_now) / 1ms * 1ms + (old_unix_s - unix_s_) * 1s;
        lease.expires = now_ + std::clamp<Duration>(left, lease.length / 2, lease.length);
        lease.overdue = false;
        lease.load.reset();
      }
    }
  }

  void put() {
    const std::string name = any_pool();
    const ServerOptions server = any_server();
    const Precondition precondition{.absent = prng_.chance(0.2)};
    expect(put_model(model(name), server, precondition), registry_.put(name, server, precondition));
  }
  static OutcomeModel put_model(PoolModel& pool, const ServerOptions& server, const Precondition& precondition) {
    if (!pool.configured) return {.refusal = Kind::no_such_pool};
    const auto there = pool.at(server.id);
    if (there && precondition.absent) return {.refusal = Kind::changed_since};
    if (there && !same_address(there->options, server)) return {.refusal = Kind::exists};
    if (!there && pool.at_address(server)) return {.refusal = Kind::exists};
    WantedServer after{.options = server, .origin = Origin::admin};
    if (there) {
      after.drained = there->drained;
      after.forced = there->forced;
    }
    const ServerOptions* const base = pool.base_of(server.id);
    const bool back = base != nullptr && same_address(*base, server);
    if (back || (there && there->origin == Origin::configuration)) after.origin = Origin::configuration;
    pool.store(after);
    return {.effect = !there ? Effect::created : same(*there, after) ? Effect::unchanged : Effect::changed};
  }

  void change() {
    const std::string name = any_pool();
    const std::string id = any_id();
    ServerChange change;
    if (prng_.chance(0.5)) change.weight = static_cast<std::uint32_t>(prng_.below(3));
    if (prng_.chance(0.2)) change.backup = prng_.chance(0.3);
    if (prng_.chance(0.2)) change.active_max = prng_.chance(0.5) ? std::optional<std::uint32_t>{5} : std::nullopt;
    if (prng_.chance(0.3)) change.drained = prng_.chance(0.5);
    if (prng_.chance(0.2)) change.forced = prng_.chance(0.5) ? ForcedHealth::up : ForcedHealth::none;
    PoolModel& pool = model(name);
    const auto there = pool.at(id);
    Precondition precondition;
    const auto known = registry_.server(name, id);
    const bool stale = prng_.chance(0.2);
    if (known) precondition.revision = known->revision + (stale ? 1 : 0);
    OutcomeModel outcome{.refusal = !pool.configured ? Kind::no_such_pool : Kind::no_such_server};
    if (there && stale) outcome = {.refusal = Kind::changed_since};
    if (there && !stale) {
      WantedServer after = *there;
      apply(change, after);
      outcome = {.effect = same(*there, after) ? Effect::unchanged : Effect::changed};
      if (outcome.effect == Effect::changed) pool.store(after);
    }
    expect(outcome, registry_.change(name, id, change, precondition));
  }

  void remove() {
    const std::string name = any_pool();
    const std::string id = any_id();
    PoolModel& pool = model(name);
    OutcomeModel outcome{.refusal = !pool.configured ? Kind::no_such_pool : Kind::no_such_server};
    if (pool.at(id)) {
      outcome = {.effect = Effect::removed};
      pool.remove(id);
    }
    expect(outcome, registry_.remove(name, id, {}));
  }

  void announce() {
    const std::string name = any_pool();
    const ServerOptions server = any_server();
    Lease lease{.length = prng_.chance(0.8) ? Duration{30s} : Duration{10s}, .owner = any_owner()};
    if (prng_.chance(0.3)) lease.load = static_cast<std::uint32_t>(prng_.below(9));
    lease.expires = now_ + lease.length;
    const OutcomeModel outcome = announce_model(model(name), server, lease);
    expect(outcome, registry_.announce(name, server, lease.length, lease.owner, lease.load, moment()));
  }
  OutcomeModel announce_model(PoolModel& pool, const ServerOptions& server, const Lease& lease) const {
    if (!pool.configured) return {.refusal = Kind::no_such_pool};
    if (!pool.registration || !pool.allows(server)) return {.refusal = Kind::not_allowed};
    const auto runs = [&](const WantedServer& one) { return one.lease && one.lease->runs(now_); };
    const auto there = pool.at(server.id);
    if (there ? !there->lease : pool.base_of(server.id) != nullptr) return {.refusal = Kind::not_owner};
    if (there && runs(*there) && there->lease->owner != lease.owner) return {.refusal = Kind::not_owner};
    if (there && runs(*there) && !same_address(there->options, server)) return {.refusal = Kind::exists};
    auto other = pool.at_address(server);
    if (other && other->options.id == server.id) other.reset();
    if (other && (!other->lease || (runs(*other) && other->lease->owner != lease.owner))) return {.refusal = Kind::exists};
    if (!there && !other && pool.registered() >= pool.registration->servers_max) return {.refusal = Kind::limit_reached};

    const bool again = there && there->lease->owner == lease.owner && same_address(there->options, server);
    WantedServer after{.options = server, .origin = Origin::registration, .lease = lease};
    if (const auto& from = again ? there : other) {
      after.drained = from->drained;
      after.forced = from->forced;
    }
    if (other) PoolModel::drop(pool.added, other->options.id);
    pool.store(after);
    return {.effect = !again ? Effect::created : same(*there, after) ? Effect::unchanged : Effect::changed};
  }

  // Of a server that speaks for itself; nothing: it may.
  static std::optional<Kind> refusal(PoolModel& pool, const std::string& id, const std::string& owner) {
    const auto there = pool.at(id);
    if (!pool.configured) return Kind::no_such_pool;
    if (!there) return Kind::no_such_server;
    if (!there->lease || there->lease->owner != owner) return Kind::not_owner;
    return std::nullopt;
  }
  void renew() {
    for (int i = 0; i < 8; ++i) {  // as often as time passes, so that some stay
      const std::string name = any_pool();
      const std::string id = any_id();
      const std::string owner = any_owner();
      PoolModel& pool = model(name);
      OutcomeModel outcome{.refusal = refusal(pool, id, owner)};
      if (pool.configured && !pool.registration) outcome.refusal = Kind::not_allowed;
      if (!outcome.refusal) {
        outcome.effect = Effect::unchanged;
        Lease& lease = *PoolModel::find(pool.added, id)->server.lease;
        lease.expires = now_ + lease.length;
        lease.overdue = false;
      }
      expect(outcome, registry_.renew(name, id, owner, {}, moment()));
    }
  }
  void leave() {
    const std::string name = any_pool();
    const std::string id = any_id();
    const std::string owner = any_owner();
    OutcomeModel outcome{.refusal = refusal(model(name), id, owner)};
    if (!outcome.refusal) {
      outcome.effect = Effect::removed;
      model(name).remove(id);
    }
    expect(outcome, registry_.leave(name, id, owner));
  }

  void expire() {
    now_ = now_ + Duration{1s} + Duration{static_cast<std::int64_t>(prng_.below(15'000'000'000))};
    unix_s_ += prng_.chance(0.05) ? day_s : 7;
    const std::string dead = any_id();
    std::vector<std::string> expected;
    for (auto& [name, pool] : pools_) {
      if (pool.configured) expire_model(pool, dead, expected);
    }
    const Instant next = registry_.next_expiry();
    const auto gone = [&](std::string_view, std::string_view id) { return id == dead; };
    std::vector<std::string> found;
    for (const auto& one : registry_.expire(moment(), gone)) found.push_back(one.pool + "/" + one.id + (one.kept ? " kept" : ""));
    std::ranges::sort(found);
    std::ranges::sort(expected);
    ASSERT_EQ(found, expected);
    if (!found.empty()) ASSERT_LE(next, now_);
    for (const auto& [name, options] : configured_) {
      for (const WantedServer& server : registry_.servers(name)) {
        if (server.lease) ASSERT_TRUE(server.lease->overdue || server.lease->expires > now_);
      }
    }
  }
  void expire_model(PoolModel& pool, const std::string& dead, std::vector<std::string>& expected) const {
    std::erase_if(pool.ended, [&](const auto& one) { return one.second <= now_; });
    std::vector<Row> out;
    for (const Row& row : pool.added) {
      if (row.server.lease && row.server.lease->expires <= now_) out.push_back(row);
    }
    const std::size_t all = pool.registered() + pool.ended.size();
    const double share = pool.registration ? pool.registration->expired_share_max : 1;
    const bool keeps = all >= 3 && static_cast<double>(out.size() + pool.ended.size()) > share * static_cast<double>(all);
    for (const Row& row : out) {
      const std::string& id = row.server.options.id;
      const bool kept = keeps && id != dead;
      if (kept && row.server.lease->overdue) continue;
      expected.push_back(pool.name + "/" + id + (kept ? " kept" : ""));
      if (kept) {
        PoolModel::find(pool.added, id)->server.lease->overdue = true;
      } else {
        PoolModel::drop(pool.added, id);
        if (!keeps) pool.ended.emplace_back(id, now_ + row.server.lease->length);
      }
    }
  }

  void expect(const OutcomeModel& outcome, const std::expected<Applied, Refusal>& applied) {
    ASSERT_EQ(applied.has_value(), outcome.effect.has_value()) << (applied ? "" : applied.error().message);
    ASSERT_TRUE(model::outcome(applied) == outcome) << (applied ? "another effect" : applied.error().message);
    if (!applied) ASSERT_GT(applied.error().message.size(), 20U);
    if (applied) ASSERT_LE(applied->revision, registry_.revision());
  }

  void compare() {
    std::set<std::uint64_t> revisions;
    const RegistryState state = registry_.state(moment());
    for (const char* name : {"app", "api", "none"}) {
      const auto expected = model(name).list();
      const auto found = registry_.servers(name);
      ASSERT_EQ(found.size(), expected.size()) << name;
      for (std::size_t i = 0; i < found.size(); ++i) {
        ASSERT_TRUE(same(found[i], expected[i])) << name << " " << found[i].options.id << " " << expected[i].options.id;
        if (found[i].lease) {
          ASSERT_EQ(found[i].lease->expires, expected[i].lease->expires);
          ASSERT_EQ(found[i].lease->overdue, expected[i].lease->overdue);
        }
        ASSERT_TRUE(revisions.insert(found[i].revision).second);
        ASSERT_LE(found[i].revision, registry_.revision());
        ASSERT_EQ(registry_.server(name, found[i].options.id)->revision, found[i].revision);
      }
      // Only what differs from the configuration leaves a trace.
      const auto pool = state.pools.find(name);
      ASSERT_EQ(pool == state.pools.end() ? 0 : pool->second.changed.size(), model(name).changed.size()) << name;
      ASSERT_EQ(pool == state.pools.end() ? 0 : pool->second.added.size(), model(name).added.size()) << name;
    }
  }

  // All that servers() and state() show, apart from renewals and, of what is configured, revisions.
  std::string shown(const Registry& registry) const {
    RegistryState state = registry.state(moment());
    state.revision = 0;
    for (auto& [name, pool] : state.pools) {
      for (auto& [id, server] : pool.added) {
        if (server.lease) server.lease->expires_unix_ms = 0;
      }
    }
    std::string text = spell_state(state);
    for (const auto& [name, options] : configured_) {
      text += name + ":";
      for (const WantedServer& server : registry.servers(name)) {
        text += server.options.id + "=" + server.options.host + "*" + std::to_string(server.options.weight) + " ";
      }
    }
    return text;
  }

  Prng prng_;
  Instant now_{1'000'000'000'000};
  std::int64_t unix_s_ = 1'700'000'000;
  std::map<std::string, PoolOptions> configured_;
  Registry registry_;
  std::map<std::string, PoolModel> pools_;
  std::string shown_;
};

TEST(RegistryModel, registry_does_what_the_rules_say) {
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    World world(seed);
    for (int i = 0; i < operations; ++i) {
      world.step();
      ASSERT_FALSE(testing::Test::HasFailure()) << "seed " << seed << ", operation " << i;
    }
  }
}

}  // namespace registry_model_test
}  // namespace steelyard
