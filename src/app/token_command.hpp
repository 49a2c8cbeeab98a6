// steelyard token: makes keys, makes and checks the tokens of signed redirects, and shows what is in one. All of it by hand, for setting
// up and finding faults; gateways and guards do without.
#pragma once

#include <CLI/CLI.hpp>

namespace steelyard {

// verify: 0: valid; 1: denied. All: 2: something was wrong with the command.
void add_token(CLI::App& app, int& exit_code);

}  // namespace steelyard
