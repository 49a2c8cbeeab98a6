// The commands that ask a running proxy by its admin API.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "app/admin_call.hpp"

namespace steelyard {

void add_servers(CLI::App& app, int& exit_code);  // steelyard servers list, add, drain…
void add_status(CLI::App& app, int& exit_code);
void add_limits(CLI::App& app, int& exit_code);
void add_reload(CLI::App& app, int& exit_code);
void add_upgrade(CLI::App& app, int& exit_code);
void add_events(CLI::App& app, int& exit_code);

// What the file would change of what runs. Returns the exit code: 2 for an invalid configuration.
int check_against_running(const std::string& file, const AdminArguments& arguments);

}  // namespace steelyard
