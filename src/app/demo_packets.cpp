// `steelyard demo packets`: a packet proxy, four servers that announce themselves to it, and six clients.
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "app/commands.hpp"
#include "app/demo_servers.hpp"
#include "app/service.hpp"
#include "backend/packet_client.hpp"
#include "net/epoll_net.hpp"
#include "observe/message.hpp"
#include "wire/packet/message.hpp"

namespace steelyard {
namespace {

struct DemoServer {
  const char* id;
  const char* policy;
};
constexpr std::array<DemoServer, 4> demo_servers{{{"100", "111"}, {"200", "222"}, {"300", "111"}, {"400", "222"}}};
constexpr std::array<const char*, 6> policy_of_client{"111", "111", "222", "111", "222", "222"};

Options packet_options(const PacketDemoOptions& demo) {
  Options options;
  options.log.access = "off";
  options.log.level = LogLevel::warning;
  ListenerOptions& listener = options.listeners.emplace_back();
  listener.bind = {IpAddress::loopback(), demo.port};
  listener.protocol = Protocol::packet;
  listener.packet.pool = "packets";
  listener.packet.registration = PacketRegistration::open;
  PoolOptions& pool = options.pools.emplace_back();
  pool.name = "packets";
  pool.algorithm = Algorithm::round_robin;
  pool.slow_start.window = Duration{0};
  pool.policy = policy::PolicyOptions{.label = "privacy"};
  pool.health = HealthOptions{.kind = CheckKind::tcp, .interval = 1s, .timeout = 1s};
  pool.registration = RegistrationOptions{.token_file = {}, .networks = {*Network::parse("127.0.0.0/8")}};
  return options;
}

// Starts the servers and lets the clients ask, beside the service, which runs on another thread.
class Play {
 public:
  Play(const PacketDemoOptions& demo, const Service& service) : demo_(demo), thread_([this, &service] { run(service); }) {}
  ~Play() {
    {
      const std::lock_guard lock(mutex_);
      over_ = true;
    }
    changed_.notify_one();
    thread_.join();
  }
  [[nodiscard]] bool failed() const { return failed_; }

 private:
  void run(const Service& service) {
    DemoServers servers;
    for (std::size_t i = 0; i < demo_servers.size() && !failed_; ++i) failed_ = !start(servers, i) || !wait_for(service, i + 1);
    if (!failed_)
      fmt::print("\nFour servers have announced themselves: 100 and 300 promise policy 111, 200 and 400 promise 222. Six clients ask:\n\n");
    for (std::size_t i = 0; i < policy_of_client.size() && !failed_; ++i) failed_ = ask(i) != 0;
    if (!failed_ && !demo_.once) print_what_to_try();
    std::fflush(stdout);
    if (failed_ || demo_.once) kill(getpid(), SIGTERM);
    // The servers are this thread's children, and end with it.
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return over_; });
  }

  bool start(DemoServers& servers, std::size_t index) const {
    const DemoServer& server = demo_servers[index];
    return servers.start({"packet", "server", "--id", server.id, "--policy", server.policy, "--listen",
                          std::to_string(demo_.server_port + index), "--proxy", proxy().to_string(), "--quiet"});
  }

  // One after the other, so that they take turns in this order. False when one of them has not come.
  static bool wait_for(const Service& service, std::size_t count) {
    constexpr int attempts = 500;
    int left = attempts;
    const auto come = [&] {
      const auto view = service.view();
      return view && view->site->pools.front()->servers().size() >= count;
    };
    while (!come() && --left > 0) poll(nullptr, 0, 10);
    if (left == 0) fmt::print(stderr, "steelyard: the server {} has not announced itself\n", demo_servers[count - 1].id);
    return left > 0;
  }

  [[nodiscard]] int ask(std::size_t client) const {
    const std::string number = std::to_string(client + 1);
    const packet::Data data{.source = number, .policy = policy_of_client[client]};
    auto packets = backend::read_packets(packet::to_text(data, "xyz" + number));
    return packets ? backend::run_packet_client({.proxy = proxy(), .packets = std::move(*packets)}) : 1;
  }

  void print_what_to_try() const {
    fmt::print(
        R"(
Each went to a server of its policy, in turn. The proxy and its servers stay. In another terminal, try:

  steelyard packet client --proxy 127.0.0.1:{0} --packet examples/packets/1.json --count 4
  steelyard packet server --id 500 --policy 333 --listen {1} --proxy 127.0.0.1:{0}

Ctrl-C ends everything.

)",
        demo_.port, demo_.server_port + demo_servers.size());
  }

  [[nodiscard]] SocketAddress proxy() const { return {IpAddress::loopback(), demo_.port}; }

  const PacketDemoOptions demo_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool over_ = false;
  std::atomic<bool> failed_{false};
  std::thread thread_;  // last, for it uses the others
};

}  // namespace

int demo_packets(const PacketDemoOptions& demo) {
  if (demo.port >= demo.server_port && demo.port < demo.server_port + demo_servers.size()) {
    fmt::print(stderr, "steelyard: port {} is wanted for the proxy and for a server: choose others with --port or --server-port\n",
               demo.port);
    return 2;
  }
  for (std::size_t i = 0; i < demo_servers.size(); ++i) {
    const SocketAddress address{IpAddress::loopback(), static_cast<std::uint16_t>(demo.server_port + i)};
    if (!exclusive_bind_error(address)) continue;
    fmt::print(stderr, "steelyard: port {} is taken, and the demo's servers need {} to {}: choose others with --server-port\n",
               address.port, demo.server_port, demo.server_port + demo_servers.size() - 1);
    return 1;
  }
  Options options = packet_options(demo);
  configure_messages(options.log);
  const Service::Load again = [options](std::optional<std::string_view>) { return std::expected<Options, Service::Problems>(options); };
  auto service = Service::open(std::move(options), again);
  if (!service) {
    fmt::print(stderr, "steelyard: {}\n", service.error());
    return 1;
  }
  const Play play(demo, **service);
  const int ended = (*service)->run();
  return play.failed() ? 1 : ended;
}

}  // namespace steelyard
