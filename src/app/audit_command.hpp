// steelyard audit: what access logs prove of policies.
#pragma once

#include <CLI/CLI.hpp>

namespace steelyard {

// 0: every exchange went where it might go; 1: one did not; 2: a file or a line could not be read, so that nobody knows.
void add_audit(CLI::App& app, int& exit_code);

}  // namespace steelyard
