// `steelyard packet server` and `steelyard packet client`: their command lines, in the spelling of this program and in that of the
// programs whose place they take. The work is done in backend/.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace steelyard {

void add_packet(CLI::App& app, int& exit_code);

// The arguments behind the program's name, where those of `packet` in the original spelling (-id, -pp, -listen, -revproc, -pkt; also with
// "=" and the value) are in that of this program.
[[nodiscard]] std::vector<std::string> modern_arguments(std::vector<std::string> arguments);

}  // namespace steelyard
