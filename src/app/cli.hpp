// The command line: arguments to a command, and its exit code (0 done, 1 failed, 2 usage or invalid configuration).
#pragma once

namespace steelyard {

int run_command_line(int argc, char** argv);

}  // namespace steelyard
