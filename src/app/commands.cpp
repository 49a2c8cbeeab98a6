#include "app/commands.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <optional>

#include "app/exit_codes.hpp"
#include "app/service.hpp"
#include "config/load.hpp"
#include "observe/message.hpp"

namespace steelyard {
namespace {

// What the command line says of the listeners' addresses; the sentence is what is wrong with it.
std::optional<std::string> replace_binds(Options& options, const std::vector<std::string>& binds) {
  if (binds.size() > options.listeners.size()) {
    return fmt::format("--bind is given {} times; listeners in the configuration: {}", binds.size(), options.listeners.size());
  }
  for (std::size_t i = 0; i < binds.size(); ++i) {
    const auto address = SocketAddress::parse(binds[i]);
    if (!address) return fmt::format("--bind {}: not an address and port, such as 127.0.0.1:8080 or [::1]:8080", binds[i]);
    options.listeners[i].bind = *address;
  }
  return std::nullopt;
}

// The configuration as `serve` runs it, or a text as if it were in the file.
std::expected<Options, Service::Problems> load_again(const std::string& file, const ServeOptions& arguments,
                                                     std::optional<std::string_view> text) {
  auto loaded = text ? config::load_text(*text, file) : config::load_file(file);
  if (!loaded) return std::unexpected(loaded.error());
  for (const config::Problem& warning : loaded->warnings) log_message(LogLevel::warning, "{}", config::to_string(warning));
  if (const auto wrong = replace_binds(loaded->options, arguments.binds)) return std::unexpected(Service::Problems{{.message = *wrong}});
  if (arguments.verbose) loaded->options.log.level = LogLevel::debug;
  return std::move(loaded->options);
}

// Prints what is wrong with a file, all of it.
std::optional<Options> load(const std::string& file) {
  auto loaded = config::load_file(file);
  if (!loaded) {
    for (const config::Problem& problem : loaded.error()) fmt::print(stderr, "{}\n", config::to_string(problem));
    fmt::print(stderr, "{} problem{} in {}; nothing was started\n", loaded.error().size(), loaded.error().size() == 1 ? "" : "s", file);
    return std::nullopt;
  }
  for (const config::Problem& warning : loaded->warnings) fmt::print(stderr, "warning: {}\n", config::to_string(warning));
  return std::move(loaded->options);
}

std::optional<std::string> find_config() {
  for (const char* name : {"steelyard.yaml", "steelyard.json", "config.json"}) {
    if (access(name, F_OK) == 0) return name;
  }
  return std::nullopt;
}

}  // namespace

int serve(const ServeOptions& arguments, const Invocation& invocation) {
  Service::Start start{invocation, Inherited::take()};
  std::string file = arguments.config;
  if (file.empty()) {
    const auto found = find_config();
    if (!found) {
      fmt::print(stderr,
                 "steelyard: no configuration: give one with --config FILE, or put steelyard.yaml, steelyard.json or config.json into this "
                 "directory. To try without one: steelyard demo\n");
      return exit_usage;
    }
    file = *found;
  }
  auto options = load(file);
  if (!options) return exit_usage;
  if (const auto wrong = replace_binds(*options, arguments.binds)) {
    fmt::print(stderr, "steelyard: {}\n", *wrong);
    return exit_usage;
  }
  if (arguments.verbose) options->log.level = LogLevel::debug;
  configure_messages(options->log);
  auto service = Service::open(
      std::move(*options), [&](std::optional<std::string_view> text) { return load_again(file, arguments, text); }, std::move(start));
  if (!service) {
    fmt::print(stderr, "steelyard: {}\n", service.error());
    return exit_failed;
  }
  log_message(LogLevel::info, "steelyard {} with {}", STEELYARD_VERSION, file);
  return (*service)->run();
}

int check(const std::string& file) {
  const auto options = load(file);
  if (!options) return exit_usage;
  std::size_t servers = 0;
  for (const PoolOptions& pool : options->pools) servers += pool.servers.size();
  fmt::print("{} is valid: listeners {}, routes {}, pools {}, servers {}\n", file, options->listeners.size(), options->routes.size(),
             options->pools.size(), servers);
  return 0;
}

int config_expand(const std::string& file) {
  const auto options = load(file);
  if (!options) return exit_usage;
  fmt::print("{}", config::expand(*options));
  return 0;
}

int config_schema() {
  fmt::print("{}\n", config::schema());
  return 0;
}

int config_reference() {
  fmt::print("{}", config::reference());
  return 0;
}

}  // namespace steelyard
