// What the service hears of its servers and does about it, and what it can say of what is under way.
#include <algorithm>
#include <condition_variable>
#include <iterator>
#include <memory>
#include <mutex>

#include "app/service.hpp"
#include "net/epoll_net.hpp"
#include "observe/message.hpp"

namespace steelyard {
namespace {

// Of a packet's setup, in the registry's words.
ServerOptions server_of(const PacketAnnouncement& announcement, const std::string& label) {
  const packet::Setup& setup = announcement.setup;
  ServerOptions server{.id = setup.id, .host = announcement.address.to_string(), .port = setup.listen_port};
  if (setup.weight) server.weight = *setup.weight;
  server.labels[label] = setup.policy;
  return server;
}

// What is under way is asked of the workers, which are soon done with what they do.
constexpr std::size_t exchanges_max = 1000;
constexpr auto exchanges_patience = std::chrono::milliseconds(200);

}  // namespace

void Service::cut(const std::shared_ptr<Server>& server) {
  const std::uint32_t active = server->own_active();  // what clients do there themselves cannot be cut
  if (active == 0) return;
  log_message(LogLevel::warning, "server {}: {} exchanges are still under way at the deadline: cutting them", server->id, active);
  for (const auto& worker : workers_) worker->cut(server);
}

void Service::on_servers_changed(const std::set<std::string>& pools) {
  for (const std::string& pool : pools) pools_.configure_servers(pool, directory_.servers(pool));
}

void Service::announce(PacketAnnouncement announcement, std::function<void(std::string refusal)> done) {
  control_.post([this, announcement = std::move(announcement), done = std::move(done)] {
    const std::string& pool = announcement.pool;
    const std::string& id = announcement.setup.id;
    const auto admitted = admit(announcement);
    if (!admitted) {
      log_message_limited(LogLevel::warning, "packet registration", "the server {}/{} at {} may not register: {}", pool, id,
                          announcement.address.to_string(), admitted.error().message);
      publish("registration_refused", {{"pool", pool}, {"id", id}, {"reason", admitted.error().message}});
      return done(admitted.error().message);
    }
    if (admitted->effect != Applied::Effect::unchanged) {
      publish(admitted->effect == Applied::Effect::created ? "server_added" : "server_changed",
              {{"pool", pool}, {"id", id}, {"revision", admitted->revision}});
      directory_.changed(pool, Directory::When::soon);
    }
    // Behind what tells the pool of it.
    control_.post([done] { done(""); });
  });
}

std::expected<Applied, Refusal> Service::admit(const PacketAnnouncement& announcement) {
  using Kind = Refusal::Kind;
  const auto refuse = [](Kind kind, std::string message) { return std::unexpected(Refusal{kind, "", std::move(message)}); };
  const auto pool = pools_.find(announcement.pool);
  if (!pool || draining()) return refuse(Kind::no_such_pool, "the pool has been removed, or the proxy is about to end");
  const auto options = pool->options();
  if (!options->policy) return refuse(Kind::not_allowed, "the pool has no policy any more");
  if (announcement.by == PacketRegistration::secret) {
    const auto token = packet_tokens_.find(announcement.pool);
    const bool shown = token != packet_tokens_.end() && admin::digest_of(announcement.setup.secret.value_or("")) == token->second;
    if (!shown) return refuse(Kind::not_owner, "the setup does not have the pool's secret (registration.token_file) in \"secret\"");
  }
  ServerOptions server = server_of(announcement, options->policy->label);
  if (listens_on({announcement.address, server.port})) {
    return refuse(Kind::not_allowed, fmt::format("{}:{} is this proxy itself, which is no server of its own", server.host, server.port));
  }
  const std::string_view owner = announcement.by == PacketRegistration::secret ? "registration" : "packet";
  Registry& registry = directory_.registry();
  if (!announcement.setup.lease) return registry.announce_lasting(announcement.pool, std::move(server), owner, moment());
  return registry.announce(announcement.pool, std::move(server), announcement.setup.lease, owner, std::nullopt, moment());
}

void Service::on_expired(const Registry::Expired& expired) {
  if (expired.kept) {
    log_message(LogLevel::warning,
                "server {}/{}: its lease has run out; it is kept, because too many did at once: are the servers cut off from here?",
                expired.pool, expired.id);
  } else {
    log_message(LogLevel::warning, "server {}/{} is removed: its lease has run out", expired.pool, expired.id);
  }
  publish(expired.kept ? "lease_overdue" : "lease_expired", {{"pool", expired.pool}, {"id", expired.id}});
}

bool Service::is_gone(std::string_view pool, std::string_view id) const {
  const auto living = pools_.find(pool);
  if (!living) return true;
  const auto servers = living->servers();
  const auto found = std::ranges::find_if(servers, [&](const auto& server) { return server->id == id; });
  return found == servers.end() || (*found)->held(bit(Hold::unhealthy) | bit(Hold::unreachable));
}

void Service::on_state(const Pool& pool, const Server& server) {
  const Standing standing = server.standing();
  publish(
      "server_state",
      {{"pool", pool.name()}, {"id", server.id}, {"state", standing.state}, {"reason", standing.reason}, {"up", server.takes_traffic()}});
}

std::vector<ExchangeView> Service::exchanges() const {
  struct Gathered {
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<ExchangeView> list;
    std::size_t answered = 0;
  };
  const auto gathered = std::make_shared<Gathered>();
  for (const auto& worker : workers_) {
    worker->list_exchanges(exchanges_max, [gathered](std::vector<ExchangeView> list) {
      const std::lock_guard lock(gathered->mutex);
      std::ranges::move(list, std::back_inserter(gathered->list));
      ++gathered->answered;
      gathered->changed.notify_one();
    });
  }
  std::unique_lock lock(gathered->mutex);
  gathered->changed.wait_for(lock, exchanges_patience, [&] { return gathered->answered == workers_.size(); });
  return gathered->list;
}

bool Service::listens_on(const SocketAddress& address) const {
  const auto now = view();
  const auto leads_to = [&](const SocketAddress& listener) {
    if (listener.port != address.port) return false;
    return listener.ip == address.ip || (listener.ip.is_unspecified() && is_own_address(address.ip)) ||
           (listener.ip.is_loopback() && address.ip.is_loopback());
  };
  const auto& admin = now->options.admin;
  return std::ranges::any_of(now->addresses, leads_to) || (admin && !admin->on_socket() && leads_to(admin->bind));
}

}  // namespace steelyard
