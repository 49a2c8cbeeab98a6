// steelyard backend.
#pragma once

#include <CLI/CLI.hpp>

namespace steelyard {

void add_backend(CLI::App& app, int& exit_code);

}  // namespace steelyard
