#include "upstream/pool.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "base/assert.hpp"
#include "decide/balance/ip_hash.hpp"
#include "decide/balance/least_connections.hpp"
#include "decide/balance/round_robin.hpp"

namespace steelyard {
namespace {

// More tries than this are not configurable.
constexpr std::size_t tried_max = 8;

}  // namespace

Pool::Pool(PoolOptions options, std::span<const SocketAddress> addresses, std::uint32_t first_slot) : options_(std::move(options)) {
  for (std::size_t i = 0; i < options_.servers.size(); ++i) {
    servers_.push_back(std::make_unique<Server>(options_.servers[i], addresses[i], first_slot + static_cast<std::uint32_t>(i)));
  }
  rebuild();
}

std::shared_ptr<const Members> Pool::members() const {
  const std::lock_guard lock(mutex_);
  return members_;
}

void Pool::set_health(Server& server, Health health, std::string reason, std::int64_t unix_s) {
  const bool took_traffic = server.takes_traffic();
  server.set_health(health, std::move(reason), unix_s);
  if (server.takes_traffic() != took_traffic) rebuild();
}

void Pool::rebuild() {
  auto members = std::make_shared<Members>();
  std::vector<std::uint32_t> weights;
  for (const auto& server : servers_) {
    if (!server->takes_traffic()) continue;
    members->servers.push_back(server.get());
    weights.push_back(server->weight);
  }
  members->schedule = balance::smooth_schedule(weights);
  const std::lock_guard lock(mutex_);
  members_ = std::move(members);
  version_.fetch_add(1, std::memory_order_release);
}

Server* PoolView::pick(const IpAddress& client, std::span<Server* const> tried) {
  if (const std::uint64_t version = pool_->version(); version != version_) {
    members_ = pool_->members();
    version_ = version;
  }
  const auto& servers = members_->servers;
  SY_ASSERT(tried.size() <= tried_max);
  std::array<std::uint32_t, tried_max> positions{};
  std::size_t count = 0;
  for (Server* const server : tried) {
    const auto found = std::ranges::find(servers, server);
    if (found != servers.end()) positions[count++] = static_cast<std::uint32_t>(found - servers.begin());
  }
  const balance::Tried tried_positions(positions.data(), count);

  const auto chosen = choose(client, tried_positions);
  return chosen ? servers[*chosen] : nullptr;
}

std::optional<std::size_t> PoolView::choose(const IpAddress& client, balance::Tried tried) {
  switch (pool_->options().algorithm) {
    default:
      return balance::pick_round_robin(members_->schedule, pool_->cursor(), tried);
    case Algorithm::least_connections: {
      // Nobody has fewer exchanges than a server without any; among those, turns by weight. So the scan over all servers is
      // needed only where several turns find busy ones.
      for (std::size_t turn = 0; turn <= members_->servers.size() / 8; ++turn) {
        const auto next = balance::pick_round_robin(members_->schedule, pool_->cursor(), tried);
        if (!next || members_->servers[*next]->active.load(std::memory_order_relaxed) == 0) return next;
      }
      look_at_all();
      return balance::pick_least_connections(candidates_, pool_->cursor().load(std::memory_order_relaxed), tried);
    }
    case Algorithm::ip_hash:
      look_at_all();
      return balance::pick_ip_hash(candidates_, client.hash(), tried);
  }
  return std::nullopt;
}

void PoolView::look_at_all() {
  candidates_.clear();
  for (const Server* server : members_->servers) {
    candidates_.push_back({server->weight, server->active.load(std::memory_order_relaxed), server->id_hash});
  }
}

}  // namespace steelyard
