// `steelyard demo redirect`: a gateway that sends clients to the least busy of three applications, each with a guard before it.
#include <fmt/format.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <string>
#include <system_error>

#include "app/commands.hpp"
#include "app/demo_servers.hpp"
#include "app/service.hpp"
#include "decide/token/key.hpp"
#include "net/epoll_net.hpp"
#include "observe/message.hpp"

namespace steelyard {
namespace {

constexpr std::array<const char*, 3> demo_names{"a", "b", "c"};

std::string random_hex() {
  std::array<unsigned char, 32> bytes{};
  // Cannot fail for so few bytes once the system is up.
  [[maybe_unused]] const ssize_t got = getrandom(bytes.data(), bytes.size(), 0);
  std::string text;
  for (const unsigned char byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

// The files that a gateway and its guards share; gone with this object.
class SharedFiles {
 public:
  SharedFiles() {
    char path[] = "/tmp/steelyard-demo-XXXXXX";
    if (mkdtemp(path) == nullptr) return;
    directory_ = path;
    const std::string secret = random_hex();
    const auto key = token::Key::from_secret("demo", secret);
    made_ =
        key && write("keys.json", fmt::format("{{\"keys\": [{}]}}\n", token::to_jwk(*key, secret))) && write("token", random_hex() + "\n");
  }
  SharedFiles(const SharedFiles&) = delete;
  SharedFiles& operator=(const SharedFiles&) = delete;
  ~SharedFiles() {
    std::error_code ignored;
    if (!directory_.empty()) std::filesystem::remove_all(directory_, ignored);
  }

  [[nodiscard]] bool made() const { return made_; }
  [[nodiscard]] std::string path(const char* name) const { return directory_ + "/" + name; }

 private:
  [[nodiscard]] bool write(const char* name, const std::string& text) const {
    std::FILE* const file = std::fopen(path(name).c_str(), "wex");
    if (file == nullptr) return false;
    fchmod(fileno(file), S_IRUSR | S_IWUSR);
    const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
    return std::fclose(file) == 0 && written;
  }

  std::string directory_;
  bool made_ = false;
};

Options gateway_options(const RedirectDemoOptions& demo, const SharedFiles& files) {
  Options options;
  options.listeners.push_back({.bind = {IpAddress::loopback(), demo.port}, .status_pages = true});
  options.admin = AdminOptions{.bind = {IpAddress::loopback(), demo.admin_port}};
  PoolOptions& pool = options.pools.emplace_back();
  pool.name = "demo";
  pool.algorithm = Algorithm::least_connections;
  pool.slow_start.window = Duration{0};
  pool.health = HealthOptions{.kind = CheckKind::tcp, .interval = 1s, .timeout = 1s};
  pool.registration = RegistrationOptions{.token_file = files.path("token"), .networks = {*Network::parse("127.0.0.0/8")}};
  RouteOptions& route = options.routes.emplace_back();
  route.name = "everything";
  route.pool = "demo";
  route.mode = RouteMode::redirect;
  route.redirect.keys = files.path("keys.json");
  return options;
}

std::uint16_t port_of(std::uint16_t first, std::size_t index) { return static_cast<std::uint16_t>(first + index); }

bool start_servers(DemoServers& servers, const RedirectDemoOptions& demo, const SharedFiles& files) {
  for (std::size_t i = 0; i < demo_names.size(); ++i) {
    const std::string app = SocketAddress{IpAddress::loopback(), port_of(demo.app_port, i)}.to_string();
    const std::string guard = SocketAddress{IpAddress::loopback(), port_of(demo.guard_port, i)}.to_string();
    const bool started =
        servers.start({"backend", "--port", std::to_string(port_of(demo.app_port, i)), "--name", demo_names[i], "--quiet"}) &&
        servers.start({"guard", "--listen", guard, "--app", app, "--id", demo_names[i], "--keys", files.path("keys.json"), "--gateway",
                       "http://" + SocketAddress{IpAddress::loopback(), demo.port}.to_string(), "--register",
                       "http://" + SocketAddress{IpAddress::loopback(), demo.admin_port}.to_string(), "--pool", "demo", "--token-file",
                       files.path("token"), "--quiet"});
    if (!started) return false;
  }
  return true;
}

void print_what_to_try(const RedirectDemoOptions& demo) {
  fmt::print(
      R"(
A gateway on port {0} sends clients to one of three applications, each with a guard before it, which lets nobody in whom the gateway
did not send. In another terminal, try:

  curl -L localhost:{0}/                         the least busy one answers
  curl -sv localhost:{0}/ 2>&1 | grep Location   where the gateway sends you, with a token that is good once
  curl -i localhost:{1}/                         without one a guard sends you back; with -L you get in
  curl -L -o /dev/null localhost:{0}/bytes/1g    a large body, of which the gateway sees nothing
  curl -L localhost:{0}/cpu/999999999989         work, and
  curl -LN localhost:{0}/stream/60               a long session, both of which the gateway counts where they are:
  steelyard servers list --admin 127.0.0.1:{2}
  ab -n 1000 -c 10 http://localhost:{0}/         a thousand redirects

Each request to the gateway appears below. Ctrl-C ends everything.

)",
      demo.port, demo.guard_port, demo.admin_port);
  std::fflush(stdout);
}

}  // namespace

int demo_redirect(const RedirectDemoOptions& demo) {
  const auto refuse = [](const std::string& sentence) {
    fmt::print(stderr, "steelyard: {}\n", sentence);
    return 1;
  };
  for (std::size_t i = 0; i < 2 * demo_names.size(); ++i) {
    const bool guard = i < demo_names.size();
    const std::uint16_t port = port_of(guard ? demo.guard_port : demo.app_port, i % demo_names.size());
    if (exclusive_bind_error({IpAddress::loopback(), port})) {
      return refuse(fmt::format("port {} is taken, and the demo needs it and its neighbours: choose others with {}", port,
                                guard ? "--guard-port" : "--app-port"));
    }
  }
  const SharedFiles files;
  if (!files.made()) return refuse("cannot write a key file below /tmp");
  Options options = gateway_options(demo, files);
  configure_messages(options.log);
  const Service::Load again = [options](std::optional<std::string_view>) { return std::expected<Options, Service::Problems>(options); };
  auto service = Service::open(std::move(options), again);
  if (!service) return refuse(service.error());
  DemoServers servers;
  bool started = true;
  (*service)->when_ready([&] {
    started = start_servers(servers, demo, files);
    if (started) print_what_to_try(demo);
  });
  const int ended = (*service)->run();
  return started ? ended : refuse("cannot start other processes");
}

}  // namespace steelyard
