// A guard is a proxy with one listener and one route, which has a `guard`; here that configuration is made from the command line, and the
// gateway is told of the server and of its work.
#include "app/guard_command.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <expected>
#include <memory>
#include <optional>
#include <string>

#include "admin/token_files.hpp"
#include "app/admin_client.hpp"
#include "app/exit_codes.hpp"
#include "app/resolve.hpp"
#include "app/service.hpp"
#include "app/system.hpp"
#include "backend/announcer.hpp"
#include "base/error.hpp"
#include "config/spelling.hpp"
#include "config/texts.hpp"
#include "decide/token/token.hpp"
#include "observe/message.hpp"

namespace steelyard {
namespace {

constexpr const char* pool_name = "application";
constexpr Duration skew_max = 5min;
constexpr std::uint32_t token_room_bytes = token::token_bytes_max + 1024;  // with the names around it, and fields that the gateway adds

struct GuardArguments {
  std::string listen{};
  std::string app{};
  GuardOptions guard{};
  bool in_cookie = false;
  bool path_only = false;
  bool reusable = false;
  bool status_pages = false;
  bool quiet = false;
  std::string skew = "5s";
  std::string health{};  // a path of the application, or "tcp"; "": it is not looked at
  std::string health_interval = "2s";
  std::string registrar{};  // URL of the gateway's admin API; "": registers nowhere
  std::string pool{};
  std::string token_file{};
  std::string advertise{};
  std::string public_url{};
  std::string lease = "10s";
};

std::expected<SocketAddress, std::string> read_address(std::string_view option, const std::string& text) {
  if (const auto address = SocketAddress::parse(text)) return *address;
  return wrong(fmt::format("{} {}: write an IP address and port such as 127.0.0.1:3000", option, text));
}

std::expected<HealthOptions, std::string> read_health(const GuardArguments& arguments) {
  const auto interval = config::parse_duration(arguments.health_interval);
  if (!interval || *interval < 100ms) {
    return wrong(fmt::format("--health-interval {}: write a duration such as 2s, at least 100ms", arguments.health_interval));
  }
  HealthOptions health{.interval = *interval, .fall = 2, .before_traffic = true};
  if (arguments.health == "tcp") {
    health.kind = CheckKind::tcp;
  } else {
    if (config::check_health_path(arguments.health)) {
      return wrong(fmt::format("--health {}: write a path of the application such as /health, or tcp", arguments.health));
    }
    health.path = arguments.health;
  }
  return health;
}

std::expected<Options, std::string> read_options(const GuardArguments& arguments) {
  Options options;
  const auto listen = read_address("--listen", arguments.listen);
  if (!listen) return wrong(listen.error());
  const auto app = read_address("--app", arguments.app);
  if (!app) return wrong(app.error());
  if (*app == *listen)
    return wrong("--listen and --app are the same: the application needs a port of its own, which only the guard reaches");
  const auto skew = config::parse_duration(arguments.skew);
  if (!skew) return wrong(fmt::format("--skew {} {}", arguments.skew, skew.error()));
  if (*skew > skew_max) return wrong(fmt::format("--skew {} is too long: up to 5m, for clocks that are not quite right", arguments.skew));
  if (*skew % 1s != Duration{0})
    return wrong(fmt::format("--skew {}: write whole seconds, such as 1s: tokens know nothing finer", arguments.skew));
  if (const auto problem = config::check_token_name(arguments.guard.token_name)) return wrong("--token-name " + *problem);
  if (const auto problem = config::check_known_server_id(arguments.guard.server)) return wrong("--id: " + *problem);
  if (!arguments.guard.gateway.empty()) {
    if (const auto problem = config::check_public_url(arguments.guard.gateway)) return wrong("--gateway: " + *problem);
    if (arguments.guard.gateway.ends_with("//" + listen->to_string())) {
      return wrong(
          fmt::format("--gateway {} is where this guard listens: clients without a token would go in a circle", arguments.guard.gateway));
    }
  }
  options.listeners.push_back({.bind = *listen, .status_pages = arguments.status_pages});
  // What the gateway took is not refused here because it has a token now.
  options.http.head.request_line_bytes_max += token_room_bytes;
  options.http.head.head_bytes_max += token_room_bytes;
  if (arguments.quiet) options.log.access = "off";
  PoolOptions& pool = options.pools.emplace_back();
  pool.name = pool_name;
  pool.servers.push_back({.id = app->to_string(), .host = app->ip.to_string(), .port = app->port});
  if (!arguments.health.empty()) {
    auto health = read_health(arguments);
    if (!health) return wrong(health.error());
    pool.health = std::move(*health);
  }
  RouteOptions& route = options.routes.emplace_back();
  route.name = "guarded";
  route.pool = pool_name;
  route.guard = arguments.guard;
  route.guard->token_in = arguments.in_cookie ? TokenPlace::cookie : TokenPlace::query;
  route.guard->bind_query = !arguments.path_only;
  route.guard->one_time = !arguments.reusable;
  route.guard->skew = *skew;
  return options;
}

std::expected<backend::AnnounceOptions, std::string> read_announcement(const GuardArguments& arguments) {
  if (arguments.pool.empty()) return wrong("--register needs --pool, the pool of the gateway to register in");
  const auto place = parse_admin_place(arguments.registrar);
  if (!place) return wrong("--register " + place.error());
  backend::AnnounceOptions announce{
      .place = {.address = {}, .socket_path = place->socket_path}, .pool = arguments.pool, .id = arguments.guard.server};
  if (!place->on_socket()) {
    const auto address = resolve(place->host, place->port);
    if (!address) return wrong("--register: " + address.error());
    announce.place.address = *address;
  }
  if (!arguments.token_file.empty()) {
    std::string warning;
    const auto token = admin::read_token_file(arguments.token_file, warning);
    if (!token) return wrong(token.error());
    if (!warning.empty()) fmt::print(stderr, "warning: {}\n", warning);
    announce.place.token = *token;
  }
  announce.address = arguments.advertise.empty() ? arguments.listen : arguments.advertise;
  const auto address = SocketAddress::parse(announce.address);
  if (!address) return wrong(fmt::format("--advertise {}: write an IP address and port such as 10.0.0.5:8001", announce.address));
  if (address->ip.is_unspecified()) return wrong("--advertise is missing: say at which address clients reach this server");
  if (!arguments.public_url.empty()) {
    if (const auto problem = config::check_public_url(arguments.public_url)) return wrong("--public-url: " + *problem);
  }
  announce.public_url = arguments.public_url;
  const auto lease = config::parse_duration(arguments.lease);
  if (!lease || *lease < 100ms) return wrong(fmt::format("--lease {}: write a duration such as 10s, at least 100ms", arguments.lease));
  announce.lease = *lease;
  announce.seed = random_seed();
  announce.run = fmt::format("{:016x}", random_seed());
  return announce;
}

// An option that says how to register, where nothing says to.
std::optional<std::string> pointless_option(const GuardArguments& arguments) {
  if (!arguments.registrar.empty()) return std::nullopt;
  if (!arguments.pool.empty()) return "--pool";
  if (!arguments.token_file.empty()) return "--token-file";
  if (!arguments.public_url.empty()) return "--public-url";
  if (!arguments.advertise.empty()) return "--advertise";
  return std::nullopt;
}

int run(const GuardArguments& arguments) {
  const auto refuse = [](int code, const std::string& sentence) {
    fmt::print(stderr, "steelyard guard: {}\n", sentence);
    return code;
  };
  auto options = read_options(arguments);
  if (!options) return refuse(exit_usage, options.error());
  std::optional<backend::AnnounceOptions> announce;
  if (const auto option = pointless_option(arguments)) {
    return refuse(exit_usage, *option + " says how to register, but not where: add --register with the URL of the gateway's admin API");
  }
  if (!arguments.registrar.empty()) {
    auto read = read_announcement(arguments);
    if (!read) return refuse(exit_usage, read.error());
    announce = std::move(*read);
  }
  configure_messages(options->log);
  // Nothing but the keys, which are read again, can change.
  const Service::Load again = [options = *options](std::optional<std::string_view>) {
    return std::expected<Options, Service::Problems>(options);
  };
  auto opened = Service::open(std::move(*options), again);
  if (!opened) return refuse(exit_failed, opened.error());
  Service& service = **opened;
  std::optional<backend::Announcer> announcer;
  if (announce) {
    announcer.emplace(service.control_loop(), std::move(*announce), [&service, checked = !arguments.health.empty()] {
      const MetricsSnapshot metrics = service.metrics();
      const auto application = service.view()->site->pools.front()->servers().front();
      return backend::Work{.active = static_cast<std::uint32_t>(std::max<std::int64_t>(metrics.guard_active, 0)),
                           .arrived = metrics.guard_admitted,
                           .ready = !checked || application->takes_traffic()};
    });
    service.when_ready([&announcer] { announcer->start(); });
    // The gateway sends nobody here any more before this goes.
    service.before_drain([&announcer](std::function<void()> go_on) { announcer->leave(std::move(go_on)); });
  }
  return service.run();
}

}  // namespace

void add_guard(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("guard", "Let only requests through to an application that a gateway has sent here, signed.");
  auto arguments = std::make_shared<GuardArguments>();
  const auto add = [&](const char* option, auto& value, const char* meaning) { return command->add_option(option, value, meaning); };
  add("--listen", arguments->listen, "Where clients come, ADDRESS:PORT")->required();
  add("--app", arguments->app, "The application, ADDRESS:PORT; best one that nobody else reaches, such as 127.0.0.1:3000")->required();
  add("--id", arguments->guard.server, "The id by which the gateway knows this server")->required();
  add("--keys", arguments->guard.keys, "File with the keys that check, as a JWK Set; see steelyard token keygen")->required();
  add("--gateway", arguments->guard.gateway,
      "URL of the gateway, to which clients without a token are sent back; without it they are refused");
  add("--register", arguments->registrar, "URL of the gateway's admin API, to register there and to report what is under way here");
  add("--pool", arguments->pool, "The gateway's pool to register in");
  add("--token-file", arguments->token_file, "File with the pool's registration token");
  add("--advertise", arguments->advertise, "Where the gateway and clients reach this server, ADDRESS:PORT; without it --listen");
  add("--public-url", arguments->public_url, "URL by which clients reach it, such as https://a.example.com");
  add("--lease", arguments->lease, "How long the gateway keeps it without hearing of it")->capture_default_str();
  add("--token-name", arguments->guard.token_name, "Name of the query's parameter, or of the cookie")->capture_default_str();
  command->add_flag("--token-cookie", arguments->in_cookie, "Tokens come in a cookie, not in the query");
  command->add_flag("--path-only", arguments->path_only, "Tokens are for the path, whatever the query (bind_query: false)");
  command->add_flag("--reusable", arguments->reusable, "A token is good until it expires, not for one request only");
  add("--skew", arguments->skew, "How far the gateway's clock may differ from this one's")->capture_default_str();
  add("--hops-max", arguments->guard.hops_max, "How often a client is sent back")->capture_default_str()->check(CLI::Range(1U, 16U));
  add("--health", arguments->health,
      "Path of the application that answers 200 while it is well, or tcp; while it is not, the gateway sends nobody here");
  add("--health-interval", arguments->health_interval, "How often it is asked")->capture_default_str();
  command->add_flag("--status-pages", arguments->status_pages, "Answer /__health__, /__status__ and /__metrics__");
  command->add_flag("--quiet", arguments->quiet, "No access log");
  command->footer(
      "Example:\n  steelyard guard --listen 0.0.0.0:8001 --app 127.0.0.1:3000 --id a --keys keys.json --gateway http://gateway:8000\n\n"
      "SIGHUP reads the keys again.");
  command->callback([arguments, &exit_code] { exit_code = run(*arguments); });
}

}  // namespace steelyard
