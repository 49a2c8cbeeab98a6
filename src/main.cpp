// Arguments in, exit code out; app/cli.cpp says what the commands are.
#include "app/cli.hpp"

int main(int argc, char** argv) { return steelyard::run_command_line(argc, argv); }
