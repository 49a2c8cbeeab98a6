#include "app/cli.hpp"

#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "app/commands.hpp"

namespace steelyard {
namespace {

void add_serve(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("serve", "Run the proxy.");
  auto options = std::make_shared<ServeOptions>();
  command->add_option("-c,--config", options->config,
                      "Configuration file, YAML or JSON. Without it: steelyard.yaml, steelyard.json or config.json in this directory");
  command->add_option("-b,--bind", options->binds,
                      "Listen on this address instead of the first listener's; again for the next one. Port 0 takes a free port and says which")
      ->allow_extra_args(false);
  command->add_flag("-v,--verbose", options->verbose, "Explain routing, health and connection events on stderr");
  command->footer("Example:\n  steelyard serve --config steelyard.yaml\n\nSIGTERM drains and ends, a second one ends at once; SIGUSR1 reopens the access log.");
  command->callback([options, &exit_code] { exit_code = serve(*options); });
}

void add_check(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("check", "Check a configuration file and say everything that is wrong with it.");
  auto file = std::make_shared<std::string>();
  command->add_option("FILE", *file, "Configuration file")->required();
  command->footer("Example:\n  steelyard check steelyard.yaml");
  command->callback([file, &exit_code] { exit_code = check(*file); });
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

void add_demo(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("demo", "Start three demo servers and the proxy in front of them, and say what to try.");
  auto port = std::make_shared<std::uint16_t>(std::uint16_t{8080});
  command->add_option("--port", *port, "Port of the proxy; the servers take 8001 to 8003")->capture_default_str()->check(CLI::Range(1, 65535));
  command->footer("Example:\n  steelyard demo --port 8080");
  command->callback([port, &exit_code] { exit_code = demo(*port); });
}

}  // namespace

int run_command_line(int argc, char** argv) {
  CLI::App app("Steelyard: a reverse proxy and load balancer.", "steelyard");
  app.set_version_flag("--version", "steelyard " STEELYARD_VERSION);
  app.require_subcommand(1);
  app.footer("Each command has --help with an example. Try it: steelyard demo");
  int exit_code = 0;
  add_serve(app, exit_code);
  add_check(app, exit_code);
  add_config(app, exit_code);
  add_demo(app, exit_code);
  try {
    app.parse(argc, argv);
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

}  // namespace steelyard
