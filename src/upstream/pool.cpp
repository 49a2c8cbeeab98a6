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

// A request is tried at fewer servers than this, whatever is configured.
constexpr std::size_t tried_max = 16;

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

  std::optional<std::size_t> chosen;
  if (pool_->options().algorithm == Algorithm::round_robin) {
    chosen = balance::pick_round_robin(members_->schedule, pool_->cursor(), tried_positions);
  } else {
    candidates_.clear();
    for (const Server* server : servers) {
      candidates_.push_back({server->weight, server->active.load(std::memory_order_relaxed), server->id_hash});
    }
    chosen = pool_->options().algorithm == Algorithm::ip_hash
                 ? balance::pick_ip_hash(candidates_, client.hash(), tried_positions)
                 : balance::pick_least_connections(candidates_, pool_->cursor().fetch_add(1, std::memory_order_relaxed), tried_positions);
  }
  return chosen ? servers[*chosen] : nullptr;
}

}  // namespace steelyard
