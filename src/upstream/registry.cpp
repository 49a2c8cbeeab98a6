#include "upstream/registry.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace steelyard {
namespace {

std::uint64_t highest_revision(const RegistryState& state) {
  std::uint64_t highest = state.revision;
  for (const auto& [name, pool] : state.pools) {
    for (const auto& [id, server] : pool.added) highest = std::max(highest, server.revision);
    for (const auto& [id, server] : pool.changed) highest = std::max(highest, server.revision);
  }
  return highest;
}

std::string kept(const std::string& name, const WantedServers& pool) {
  return fmt::format(
      "pools.{}: what was changed at run time ({}) is kept, but the configuration has no such pool: it applies again once it has", name,
      pool.changes_in_words());
}

}  // namespace

std::vector<std::string> Registry::configure(std::span<const PoolOptions> pools) {
  std::vector<std::string> sentences;
  std::set<std::string_view> names;
  for (const PoolOptions& options : pools) {
    names.insert(options.name);
    WantedServers& pool = pools_.try_emplace(options.name, options.name).first->second;
    for (std::string& sentence : pool.configure(options, revision_)) sentences.push_back(std::move(sentence));
  }
  for (auto& [name, pool] : pools_) {
    if (!pool.is_configured() || names.contains(name)) continue;
    pool.suspend();
    ++revision_;
    if (pool.has_changes()) sentences.push_back(kept(name, pool));
  }
  return sentences;
}

// What the configuration says gets revisions above all that were given out before the restart: one that a caller still has then must
// not happen to fit.
std::vector<std::string> Registry::restore(const RegistryState& saved, const Moment& at) {
  std::vector<std::string> sentences;
  revision_ = std::max(revision_, highest_revision(saved));
  for (auto& [name, pool] : pools_) pool.restamp(revision_);
  for (const auto& [name, state] : saved.pools) {
    WantedServers& pool = pools_.try_emplace(name, name).first->second;
    for (std::string& sentence : pool.restore(state, at, revision_)) sentences.push_back(std::move(sentence));
    if (!pool.is_configured() && pool.has_changes()) sentences.push_back(kept(name, pool));
  }
  return sentences;
}

RegistryState Registry::state(const Moment& at) const {
  RegistryState state;
  for (const auto& [name, pool] : pools_) {
    if (pool.has_changes()) state.pools.emplace(name, pool.state(at));
  }
  state.revision = revision_;
  return state;
}

std::vector<WantedServer> Registry::servers(std::string_view pool) const {
  const auto found = pools_.find(pool);
  return found == pools_.end() ? std::vector<WantedServer>{} : found->second.list();
}

std::vector<Registry::Expired> Registry::expire(const Moment& at, const Gone& gone) {
  std::vector<Expired> expired;
  for (auto& [name, pool] : pools_) {
    if (!pool.is_configured() || pool.next_expiry() > at.now) continue;
    const auto gone_here = [&, &in = name](const std::string& id) { return gone && gone(in, id); };
    for (LeaseBook::Verdict& verdict : pool.expire(at.now, gone_here, revision_)) {
      expired.push_back({name, std::move(verdict.id), verdict.kept});
    }
  }
  return expired;
}

Instant Registry::next_expiry() const {
  Instant next = never;
  for (const auto& [name, pool] : pools_) {
    if (pool.is_configured()) next = std::min(next, pool.next_expiry());
  }
  return next;
}

}  // namespace steelyard
