// `steelyard load`: its command line, its threads and signals, and what it says. The work is done in load/.
#pragma once

namespace CLI {
class App;
}

namespace steelyard {

void add_load(CLI::App& app, int& exit_code);

}  // namespace steelyard
