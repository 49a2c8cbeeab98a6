#include "app/cli.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include "app/admin_commands.hpp"
#include "app/audit_command.hpp"
#include "app/backend_command.hpp"
#include "app/commands.hpp"
#include "app/exit_codes.hpp"
#include "app/guard_command.hpp"
#include "app/load_command.hpp"
#include "app/packet_command.hpp"
#include "app/token_command.hpp"
#include "config/reading.hpp"

namespace steelyard {
namespace {

void add_serve(CLI::App& app, const Invocation& invocation, int& exit_code) {
  auto* command = app.add_subcommand("serve", "Run the proxy.");
  auto options = std::make_shared<ServeOptions>();
  command->add_option("-c,--config", options->config,
                      "Configuration file, YAML or JSON. Without it: steelyard.yaml, steelyard.json or config.json in this directory");
  command
      ->add_option(
          "-b,--bind", options->binds,
          "Listen on this address instead of the first listener's; again for the next one. Port 0 takes a free port and says which")
      ->allow_extra_args(false);
  command->add_flag("-v,--verbose", options->verbose, "Explain routing, health and connection events on stderr");
  command->footer(
      "Example:\n  steelyard serve --config steelyard.yaml\n\nSIGTERM drains and ends, a second one ends at once; SIGHUP loads the "
      "configuration again; SIGUSR2 starts the binary anew, which takes over; SIGUSR1 reopens the access log.");
  command->callback([options, &invocation, &exit_code] { exit_code = serve(*options, invocation); });
}

void add_check(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("check", "Check a configuration file and say everything that is wrong with it.");
  struct Arguments {
    std::string file;
    bool against_running = false;
    AdminArguments admin;
  };
  auto arguments = std::make_shared<Arguments>();
  command->add_option("FILE", arguments->file, "Configuration file")->required();
  command->add_flag("--against-running", arguments->against_running,
                    "Show what it would change of the proxy that runs. Without another word of where that is, FILE says it");
  add_admin_options(*command, arguments->admin);
  for (CLI::Option* option : command->get_options()) {
    if (option->check_lname("admin") || option->check_lname("token-file") || option->check_lname("config") || option->check_lname("json")) {
      option->needs("--against-running");
    }
  }
  command->footer("Examples:\n  steelyard check steelyard.yaml\n  steelyard check steelyard.yaml --against-running");
  command->callback([arguments, &exit_code] {
    arguments->admin.config_by_default = arguments->file;
    exit_code = arguments->against_running ? check_against_running(arguments->file, arguments->admin) : check(arguments->file);
  });
}

void add_config(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("config", "Show configurations.");
  command->require_subcommand(1);
  auto* expand = command->add_subcommand("expand", "Print a configuration in its full spelling, with every default.");
  auto file = std::make_shared<std::string>();
  expand->add_option("FILE", *file, "Configuration file")->required();
  expand->footer("Example:\n  steelyard config expand config.json > steelyard.yaml");
  expand->callback([file, &exit_code] { exit_code = config_expand(*file); });
  auto* schema = command->add_subcommand("schema", "Print the JSON Schema of configuration files, for editors.");
  schema->footer("Example:\n  steelyard config schema > steelyard.schema.json");
  schema->callback([&exit_code] { exit_code = config_schema(); });
  auto* reference = command->add_subcommand("reference", "Print the reference of all keys, as Markdown.");
  reference->footer("Example:\n  steelyard config reference | less");
  reference->callback([&exit_code] { exit_code = config_reference(); });
  command->footer("Example:\n  steelyard config expand config.json");
}

void add_demo_limits(CLI::App& demos, int& exit_code) {
  auto* command = demos.add_subcommand("limits", "Start three servers and the proxy, of which a client may ask five times a minute.");
  auto options = std::make_shared<DemoOptions>(DemoOptions{.limited = true});
  auto redis = std::make_shared<std::string>();
  command->add_option("--port", options->port, "Port of the proxy")->capture_default_str()->check(CLI::Range(1, 65535));
  command->add_option("--backend-port", options->backend_port, "Port of the first server; the others take the next two")
      ->capture_default_str()
      ->check(CLI::Range(1, 65532));
  command->add_option("--admin-port", options->admin_port, "Port of its admin API")->capture_default_str()->check(CLI::Range(1, 65535));
  command->add_option("--redis", *redis, "Count in the Redis at this address instead of in memory, such as 127.0.0.1:6379")
      ->check([](const std::string& text) {
        return SocketAddress::parse(text) ? std::string() : "an IP address and a port are needed, such as 127.0.0.1:6379";
      });
  command->footer("Example:\n  steelyard demo limits\n  steelyard demo limits --redis 127.0.0.1:6379");
  command->callback([options, redis, &exit_code] {
    options->redis = SocketAddress::parse(*redis).value_or(SocketAddress{});
    exit_code = demo(*options);
  });
}

void add_demo(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("demo", "Start three demo servers and the proxy in front of them, and say what to try.");
  auto options = std::make_shared<DemoOptions>();
  command->add_option("--port", options->port, "Port of the proxy")->capture_default_str()->check(CLI::Range(1, 65535));
  command->add_option("--backend-port", options->backend_port, "Port of the first server; the others take the next two")
      ->capture_default_str()
      ->check(CLI::Range(1, 65533));
  command->footer("Examples:\n  steelyard demo --port 8080\n  steelyard demo packets\n  steelyard demo redirect\n  steelyard demo limits");
  add_demo_limits(*command, exit_code);
  auto* packets = command->add_subcommand("packets", "Start a packet proxy, four servers and six clients, and show who served whom.");
  auto packet_options = std::make_shared<PacketDemoOptions>();
  packets->add_option("--port", packet_options->port, "Port of the proxy")->capture_default_str()->check(CLI::Range(1, 65535));
  packets->add_option("--server-port", packet_options->server_port, "Port of the first server; the others take the next three")
      ->capture_default_str()
      ->check(CLI::Range(1, 65532));
  packets->add_flag("--once", packet_options->once, "End when the clients have been served");
  packets->footer("Example:\n  steelyard demo packets --once");
  packets->callback([packet_options, &exit_code] { exit_code = demo_packets(*packet_options); });
  auto* redirect = command->add_subcommand("redirect", "Start a gateway that redirects, and three applications with a guard each.");
  auto redirect_options = std::make_shared<RedirectDemoOptions>();
  redirect->add_option("--port", redirect_options->port, "Port of the gateway")->capture_default_str()->check(CLI::Range(1, 65535));
  redirect->add_option("--admin-port", redirect_options->admin_port, "Port of its admin API")
      ->capture_default_str()
      ->check(CLI::Range(1, 65535));
  redirect->add_option("--guard-port", redirect_options->guard_port, "Port of the first guard; the others take the next two")
      ->capture_default_str()
      ->check(CLI::Range(1024, 65533));
  redirect->add_option("--app-port", redirect_options->app_port, "Port of the first application; the others take the next two")
      ->capture_default_str()
      ->check(CLI::Range(1, 65533));
  redirect->footer("Example:\n  steelyard demo redirect");
  redirect->callback([redirect_options, &exit_code] { exit_code = demo_redirect(*redirect_options); });
  command->callback([command, options, &exit_code] {
    if (command->get_subcommands().empty()) exit_code = demo(*options);
  });
}

// A command that does not exist is told apart from a missing one, with the nearest that does.
std::optional<std::string> unknown_command(const CLI::App& app, int argc, char** argv) {
  if (argc < 2 || argv[1][0] == '-') return std::nullopt;
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands(nullptr)) names.push_back(command->get_name());
  if (std::ranges::find(names, argv[1]) != names.end()) return std::nullopt;
  const std::string nearest = config::nearest(argv[1], names);
  return fmt::format("steelyard: there is no command \"{}\"{} (steelyard --help lists them)\n", argv[1],
                     nearest.empty() ? "" : fmt::format("; did you mean \"{}\"?", nearest));
}

int parse_and_run(int argc, char** argv) {
  CLI::App app("Steelyard: a reverse proxy and load balancer.", "steelyard");
  app.set_version_flag("--version", "steelyard " STEELYARD_VERSION);
  app.footer("Each command has --help with an example. Try it: steelyard demo");
  int exit_code = 0;
  const Invocation invocation = Invocation::of(argc, argv);
  add_serve(app, invocation, exit_code);
  add_check(app, exit_code);
  add_config(app, exit_code);
  add_demo(app, exit_code);
  add_backend(app, exit_code);
  add_load(app, exit_code);
  add_packet(app, exit_code);
  add_guard(app, exit_code);
  add_status(app, exit_code);
  add_servers(app, exit_code);
  add_limits(app, exit_code);
  add_events(app, exit_code);
  add_reload(app, exit_code);
  add_upgrade(app, exit_code);
  add_audit(app, exit_code);
  add_token(app, exit_code);
  if (const auto unknown = unknown_command(app, argc, argv)) {
    fmt::print(stderr, "{}", *unknown);
    return 2;
  }
  if (argc < 2) {
    fmt::print(stderr, "{}", app.help());
    return 2;
  }
  try {
    std::vector<std::string> arguments = modern_arguments({argv + 1, argv + argc});
    std::ranges::reverse(arguments);  // the last one first, as CLI11 takes them
    app.parse(std::move(arguments));
  } catch (const CLI::CallForHelp& help) {
    return app.exit(help);
  } catch (const CLI::CallForVersion& version) {
    return app.exit(version);
  } catch (const CLI::ParseError& error) {
    app.exit(error);
    return 2;
  }
  return exit_code;
}

// The last of what commands print leaves their buffer only here: they have not done their work where it goes nowhere, such as on a full
// disk.
int finish_output(int exit_code) {
  const int error = std::fflush(stdout) == 0 ? 0 : errno;
  if (error == 0 && std::ferror(stdout) == 0) return exit_code;
  fmt::print(stderr, "steelyard: standard output cannot be written{}: what is there is not complete\n",
             error == 0 ? "" : fmt::format(" ({})", std::strerror(error)));
  return exit_code == 0 ? exit_failed : exit_code;
}

}  // namespace

int run_command_line(int argc, char** argv) {
  try {
    return finish_output(parse_and_run(argc, argv));
  } catch (const std::system_error&) {
    if (std::ferror(stdout) == 0) throw;
    return finish_output(exit_failed);  // fmt throws where the buffer is full before the end
  }
}

}  // namespace steelyard
