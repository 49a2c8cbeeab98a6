#include "packet_crowd.hpp"

#include <algorithm>
#include <deque>
#include <memory>

#include "packet_book.hpp"
#include "runtime/block_pool.hpp"
#include "sim_proxy.hpp"
#include "talker.hpp"

namespace steelyard::sim {
namespace {

constexpr std::size_t servers_count = 4;
constexpr Duration server_time = 5s;  // that each packet takes

std::string packet_of(std::size_t id) { return fmt::format(R"({{"type": "0", "srcid": "{}", "privPoliId": "gold", "payload": "x"}})", id); }
std::string ack_of(std::string_view packet) {
  return fmt::format(R"({{"type": "2", "payload": "{:016x}"}})", std::hash<std::string_view>{}(packet));
}

class SlowServer final : public Port {
 public:
  SlowServer(SimNet& net, std::size_t index) : net_(net), at_(server_address(index)) { net_.open_port(at_, *this); }
  ~SlowServer() { net_.close_port(at_); }

 private:
  void on_connection(Socket socket, const SocketAddress& /*from*/) override {
    Talker& talker = *talkers_.emplace_back(std::make_unique<Talker>(net_));
    talker.on_bytes = [&talker](std::string_view bytes) {
      talker.heard += bytes;
      if (object_bytes(talker.heard) == talker.heard.size()) talker.say(ack_of(talker.heard), server_time);
    };
    talker.on_end = [&talker] { talker.close(); };
    talker.take(std::move(socket));
  }

  SimNet& net_;
  SocketAddress at_;
  std::deque<std::unique_ptr<Talker>> talkers_;
};

Settings settings_for(std::size_t clients, std::uint32_t at_servers_max) {
  Settings settings{.servers = servers_count};
  settings.traits.assign(servers_count, {.labels = {{"tier", "gold"}}});
  settings.packets = PacketOptions{.pool = "pool"};
  settings.pool.policy.emplace().label = "tier";
  settings.pool.queue = {
      .active_max = at_servers_max, .queue_max = static_cast<std::uint32_t>(clients), .queue_timeout = Duration{1'000'000s}};
  settings.connections.connections_max = static_cast<std::uint32_t>(clients);
  settings.timeouts.idle = 1000s;
  return settings;
}

}  // namespace

CrowdOutcome run_packet_crowd(std::size_t clients, std::uint32_t at_servers_max) {
  SimNet net(1, SimNet::Trace::off);
  CrowdOutcome outcome;
  std::deque<SlowServer> servers;
  for (std::size_t i = 0; i < servers_count; ++i) servers.emplace_back(net, i);
  std::deque<Talker> crowd;
  SimProxy proxy(net, settings_for(clients, at_servers_max), 1);
  for (std::size_t i = 0; i < clients; ++i) {
    Talker& talker = crowd.emplace_back(net);
    talker.on_bytes = [&talker](std::string_view bytes) { talker.heard += bytes; };
    talker.on_end = [&talker] { talker.close(); };
    talker.connect({IpAddress::v4(0x0b000000U + static_cast<std::uint32_t>(i)), 40'000}, proxy_address());
  }
  net.run_for(1s);
  outcome.pool_bytes_idle = block_pool_bytes();
  for (std::size_t i = 0; i < clients; ++i) crowd[i].say(packet_of(i));
  net.run_for(1s);
  outcome.at_once = static_cast<std::size_t>(proxy.metrics().exchanges_active.value());
  for (const auto& server : proxy.all_servers()) outcome.at_servers += server->load.active.load();
  outcome.queued = proxy.pool().queue().size();
  outcome.pool_bytes = block_pool_bytes();
  while (proxy.metrics().exchanges_active.value() != 0 && net.step()) {
  }
  net.run_for(1s);
  for (std::size_t i = 0; i < clients; ++i) outcome.answered += crowd[i].heard == ack_of(packet_of(i)) ? 1 : 0;
  for (Talker& talker : crowd) talker.close();
  proxy.drain();
  net.run_for(1s);
  proxy.close_idle();
  outcome.left = proxy.what_is_left();
  return outcome;
}

}  // namespace steelyard::sim
