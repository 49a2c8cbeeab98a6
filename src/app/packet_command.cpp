#include "app/packet_command.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <expected>
#include <memory>
#include <utility>

#include "admin/token_files.hpp"
#include "app/exit_codes.hpp"
#include "app/resolve.hpp"
#include "app/system.hpp"
#include "backend/packet_client.hpp"
#include "backend/packet_server.hpp"
#include "backend/packet_stream.hpp"
#include "base/ascii.hpp"
#include "base/error.hpp"
#include "config/spelling.hpp"
#include "wire/json/scanner.hpp"
#include "wire/packet/message.hpp"

namespace steelyard {
namespace {

constexpr Duration setup_lease_min = 100ms;
constexpr std::size_t file_bytes_max = 64 * backend::PacketStream::packet_bytes_max;

struct ServerArguments {
  std::string id{};
  std::string policy{};
  std::uint16_t listen = 0;
  std::string proxy{};
  std::string bind{};
  std::string secret_file{};
  std::string lease{};
  std::optional<std::uint32_t> weight{};
  std::string delay = "0s";
  bool quiet = false;
};

struct ClientArguments {
  std::string id{};
  std::string proxy{};
  std::string file{};
  std::uint64_t count = 1;
  std::string timeout = "10s";
};

int refuse(std::string_view command, const std::string& sentence) {
  fmt::print(stderr, "steelyard packet {}: {}\n", command, sentence);
  return exit_usage;
}

std::expected<Duration, std::string> read_duration(std::string_view option, const std::string& text) {
  const auto duration = config::parse_duration(text);
  if (!duration) return wrong(fmt::format("{} {} {}", option, text, duration.error()));
  return *duration;
}

// "127.0.0.1:2100", "proxy.example:2100", or "2100" of this machine.
std::expected<SocketAddress, std::string> read_proxy(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  const std::string_view digits = colon == std::string::npos ? text : std::string_view(text).substr(colon + 1);
  const auto port = parse_unsigned<std::uint16_t>(digits);
  if (!port || *port == 0) return wrong(fmt::format("--proxy {}: write ADDRESS:PORT such as 127.0.0.1:2100, or the port alone", text));
  if (colon == std::string::npos) return SocketAddress{IpAddress::v4(0x7f000001), *port};
  if (const auto address = SocketAddress::parse(text)) return *address;
  auto address = resolve(text.substr(0, colon), *port);
  if (!address) return wrong(fmt::format("--proxy: {}", address.error()));
  return *address;
}

// What a proxy on this machine reaches need not be open to others.
std::expected<IpAddress, std::string> read_bind(const std::string& text, const SocketAddress& proxy) {
  if (!text.empty()) {
    const auto ip = IpAddress::parse(text);
    if (!ip) return wrong(fmt::format("--bind {}: it is not an IP address, e.g. 127.0.0.1", text));
    return *ip;
  }
  if (proxy.ip.is_loopback()) return proxy.ip;
  return proxy.ip.is_v6() ? IpAddress::v6({}) : IpAddress{};
}

// An id or a policy is right where a proxy will take it.
std::expected<void, std::string> check_setup(packet::Setup setup) {
  setup.listen_port = 1;
  const std::string text = packet::to_text(setup);
  json::ObjectScanner scanner;
  if (const auto scanned = scanner.feed(text); !scanned) return wrong("--id and --policy must be UTF-8");
  if (const auto message = packet::parse_message(scanner.object(text)); !message) return wrong(message.error());
  return {};
}

std::expected<backend::PacketServerOptions, std::string> read_server(const ServerArguments& arguments) {
  backend::PacketServerOptions options;
  options.quiet = arguments.quiet;
  options.setup = {.id = arguments.id, .policy = arguments.policy, .weight = arguments.weight};
  const auto proxy = read_proxy(arguments.proxy);
  if (!proxy) return wrong(proxy.error());
  options.proxy = *proxy;
  const auto ip = read_bind(arguments.bind, *proxy);
  if (!ip) return wrong(ip.error());
  options.listen = {*ip, arguments.listen};
  if (!arguments.lease.empty()) {
    const auto lease = read_duration("--lease", arguments.lease);
    if (!lease) return wrong(lease.error());
    if (*lease < setup_lease_min)
      return wrong(fmt::format("--lease {}: must be at least {}", arguments.lease, config::spell_duration(setup_lease_min)));
    options.setup.lease = *lease;
  }
  const auto delay = read_duration("--delay", arguments.delay);
  if (!delay) return wrong(delay.error());
  options.delay = *delay;
  if (!arguments.secret_file.empty()) {
    std::string warning;
    auto secret = admin::read_token_file(arguments.secret_file, warning);
    if (!secret) return wrong(secret.error());
    if (!warning.empty()) fmt::print(stderr, "warning: {}\n", warning);
    if (!proxy->ip.is_loopback()) {
      fmt::print(stderr, "warning: the secret goes to {} unencrypted, and who can listen on the way can use it\n", proxy->to_string());
    }
    options.setup.secret = std::move(*secret);
  }
  if (const auto checked = check_setup(options.setup); !checked) return wrong(checked.error());
  options.seed = random_seed();
  return options;
}

std::expected<std::string, std::string> read_file(const std::string& path) {
  std::FILE* const file = std::fopen(path.c_str(), "re");
  if (file == nullptr) return wrong(fmt::format("cannot open {}: {}", path, std::strerror(errno)));
  std::string text;
  char chunk[16 * 1024];
  std::size_t got = 0;
  while (text.size() <= file_bytes_max && (got = std::fread(chunk, 1, sizeof chunk, file)) > 0) text.append(chunk, got);
  const int error = std::ferror(file) != 0 ? errno : 0;
  std::fclose(file);
  if (error != 0) return wrong(fmt::format("cannot read {}: {}", path, std::strerror(error)));
  if (text.size() > file_bytes_max) return wrong(fmt::format("{} has more than {} bytes", path, file_bytes_max));
  return text;
}

std::expected<backend::PacketClientOptions, std::string> read_client(const ClientArguments& arguments) {
  backend::PacketClientOptions options{.count = arguments.count};
  const auto proxy = read_proxy(arguments.proxy);
  if (!proxy) return wrong(proxy.error());
  options.proxy = *proxy;
  const auto timeout = read_duration("--timeout", arguments.timeout);
  if (!timeout) return wrong(timeout.error());
  if (*timeout <= Duration{0}) return wrong("--timeout 0s: nobody can answer so fast");
  options.timeout = *timeout;
  if (const auto checked = check_setup({.id = arguments.id.empty() ? "1" : arguments.id, .policy = "1"}); !checked) {
    return wrong("--id must be UTF-8 of up to 128 bytes without control characters");
  }
  const auto text = read_file(arguments.file);
  if (!text) return wrong(text.error());
  auto packets = backend::read_packets(*text, arguments.id);
  if (!packets) return wrong(fmt::format("{}: {}", arguments.file, packets.error()));
  options.packets = std::move(*packets);
  return options;
}

int run_server(const ServerArguments& arguments) {
  const auto options = read_server(arguments);
  return options ? backend::run_packet_server(*options) : refuse("server", options.error());
}

int run_client(const ClientArguments& arguments) {
  const auto options = read_client(arguments);
  return options ? backend::run_packet_client(*options) : refuse("client", options.error());
}

void add_server(CLI::App& packet, int& exit_code) {
  auto* command = packet.add_subcommand("server", "Run a server that answers packets, and announce it to a proxy.");
  auto arguments = std::make_shared<ServerArguments>();
  command->add_option("--id", arguments->id, "Its id; one that is announced again replaces the earlier one")->required();
  command->add_option("--policy", arguments->policy, "The policy that it promises, or several with commas between them")->required();
  command->add_option("--listen", arguments->listen, "Port; 0 takes a free one")->required()->check(CLI::Range(0, 65535));
  command->add_option("--proxy", arguments->proxy, "The proxy's packet listener, ADDRESS:PORT, or a port of this machine")->required();
  command->add_option("--bind", arguments->bind, "Address to listen on; without it 127.0.0.1 where the proxy is there, else every one");
  command->add_option("--secret-file", arguments->secret_file, "File with the secret in its first line, where the proxy wants one");
  command->add_option(
      "--lease", arguments->lease,
      "How long the proxy keeps it without hearing of it, such as 10s; it is announced three times as often. Without it once");
  command->add_option("--weight", arguments->weight, "Its share of the load")->check(CLI::Range(0U, 1000U));
  command->add_option("--delay", arguments->delay, "So long before each answer")->capture_default_str();
  command->add_flag("--quiet", arguments->quiet, "Say nothing of the packets that it answers");
  command->footer(
      "Example:\n  steelyard packet server --id 100 --policy 111 --listen 2105 --proxy 127.0.0.1:2100\n\nAlso as "
      "-id 100 -pp 111 -listen 2105 -revproc 2100");
  command->callback([arguments, &exit_code] { exit_code = run_server(*arguments); });
}

void add_client(CLI::App& packet, int& exit_code) {
  auto* command = packet.add_subcommand("client", "Send the packets of a file and check their answers.");
  auto arguments = std::make_shared<ClientArguments>();
  command->add_option("--proxy", arguments->proxy, "The proxy's packet listener, ADDRESS:PORT, or a port of this machine")->required();
  command->add_option("--packet", arguments->file, "File with a packet, or several one after the other")->required();
  command->add_option("--id", arguments->id, "Who sends them, instead of the srcid in the file");
  command->add_option("--count", arguments->count, "So many times")->capture_default_str()->check(CLI::Range(1ULL, 1'000'000'000ULL));
  command->add_option("--timeout", arguments->timeout, "For each answer")->capture_default_str();
  command->footer(
      "Example:\n  steelyard packet client --proxy 127.0.0.1:2100 --packet examples/packets/1.json\n\nAlso as "
      "-id 1 -revproc 2100 -pkt examples/packets/1.json");
  command->callback([arguments, &exit_code] { exit_code = run_client(*arguments); });
}

}  // namespace

void add_packet(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("packet", "Servers and clients of a packet proxy, for demos and tests.");
  command->require_subcommand(1);
  add_server(*command, exit_code);
  add_client(*command, exit_code);
  command->footer("Example:\n  steelyard packet server --id 100 --policy 111 --listen 2105 --proxy 127.0.0.1:2100");
}

std::vector<std::string> modern_arguments(std::vector<std::string> arguments) {
  constexpr std::pair<std::string_view, std::string_view> spellings[] = {
      {"-id", "--id"}, {"-pp", "--policy"}, {"-listen", "--listen"}, {"-revproc", "--proxy"}, {"-pkt", "--packet"}};
  if (arguments.empty() || arguments.front() != "packet") return arguments;
  for (std::string& argument : arguments) {
    const std::string_view name = std::string_view(argument).substr(0, argument.find('='));
    for (const auto& [original, modern] : spellings) {
      if (name != original) continue;
      argument = fmt::format("{}{}", modern, std::string_view(argument).substr(original.size()));
      break;
    }
  }
  return arguments;
}

}  // namespace steelyard
