#include "app/backend_command.hpp"

#include <fmt/format.h>

#include <expected>
#include <memory>
#include <string>

#include "admin/token_files.hpp"
#include "app/admin_client.hpp"
#include "app/exit_codes.hpp"
#include "app/resolve.hpp"
#include "app/system.hpp"
#include "backend/backend.hpp"
#include "base/error.hpp"
#include "config/spelling.hpp"
#include "upstream/options.hpp"

namespace steelyard {
namespace {

constexpr Duration lease_min = 100ms;

struct BackendArguments {
  backend::BackendOptions options{};
  std::string registrar{};  // URL of an admin API; "": registers nowhere
  backend::AnnounceOptions announce{};
  std::string lease = "30s";
  std::string token_file{};
};

std::expected<backend::ApiPlace, std::string> read_place(const BackendArguments& arguments) {
  const auto place = parse_admin_place(arguments.registrar);
  if (!place) return wrong("--register " + place.error());
  backend::ApiPlace api{.address = {}, .socket_path = place->socket_path};
  if (!place->on_socket()) {
    const auto address = resolve(place->host, place->port);
    if (!address) return wrong("--register: " + address.error());
    api.address = *address;
  }
  if (arguments.token_file.empty()) return api;
  std::string warning;
  const auto token = admin::read_token_file(arguments.token_file, warning);
  if (!token) return wrong(token.error());
  if (!warning.empty()) fmt::print(stderr, "warning: {}\n", warning);
  if (!place->on_socket() && !api.address.ip.is_loopback()) {
    fmt::print(stderr, "warning: the token goes to {} unencrypted, and who can listen on the way can use it\n", api.to_string());
  }
  api.token = *token;
  return api;
}

std::expected<backend::AnnounceOptions, std::string> read_announcement(const BackendArguments& arguments) {
  backend::AnnounceOptions announce = arguments.announce;
  if (announce.pool.empty()) return wrong("--register needs --pool, the pool to register in");
  if (!announce.address.empty() && !SocketAddress::parse(announce.address)) {
    return wrong(fmt::format("--advertise {}: write an IP address and port such as 10.0.0.5:8001", announce.address));
  }
  const auto lease = config::parse_duration(arguments.lease);
  if (!lease) return wrong(fmt::format("--lease {} {}", arguments.lease, lease.error()));
  if (*lease < lease_min) return wrong(fmt::format("--lease {}: must be at least {}", arguments.lease, config::spell_duration(lease_min)));
  announce.lease = *lease;
  auto place = read_place(arguments);
  if (!place) return std::unexpected(place.error());
  announce.place = std::move(*place);
  announce.seed = random_seed();
  return announce;
}

int run(const BackendArguments& arguments) {
  backend::BackendOptions options = arguments.options;
  if (!arguments.registrar.empty()) {
    auto announce = read_announcement(arguments);
    if (!announce) {
      fmt::print(stderr, "steelyard backend: {}\n", announce.error());
      return exit_usage;
    }
    options.announce = std::move(*announce);
  }
  return backend::run_backend(options);
}

void add_registration(CLI::App& command, BackendArguments& arguments) {
  auto* registrar =
      command.add_option("--register", arguments.registrar,
                         "Register with the proxy whose admin API is there, http://ADDRESS:PORT or unix:PATH, and leave in the end");
  const auto add = [&](const char* name, auto& value, const char* help) { return command.add_option(name, value, help)->needs(registrar); };
  add("--pool", arguments.announce.pool, "The pool to register in");
  add("--id", arguments.announce.id, "Id there; without it the address");
  add("--advertise", arguments.announce.address, "Address and port that the proxy shall use; without it where it listens");
  add("--lease", arguments.lease, "How long the proxy keeps it without hearing of it")->capture_default_str();
  add("--token-file", arguments.token_file, "File with the pool's registration token in its first line");
  add("--weight", arguments.announce.weight, "Its share of the load")->check(CLI::Range(0U, weight_max));
}

}  // namespace

void add_backend(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("backend", "Run a demo and test server.");
  auto arguments = std::make_shared<BackendArguments>();
  backend::BackendOptions& options = arguments->options;
  command->add_option("--host", options.host, "Address to listen on")->capture_default_str();
  command->add_option("--port", options.port, "Port; 0 takes a free one")->capture_default_str();
  command->add_option("--name", options.name, "What it calls itself")->capture_default_str();
  command->add_flag("--quiet", options.quiet, "Say nothing when it is ready");
  add_registration(*command, *arguments);
  command->footer(
      "Examples:\n  steelyard backend --port 8001 --name one\n  steelyard backend --port 8001 --register http://127.0.0.1:9900 --pool app "
      "--token-file app.token\n\nIts pages: curl localhost:8001/routes");
  command->callback([arguments, &exit_code] { exit_code = run(*arguments); });
}

}  // namespace steelyard
