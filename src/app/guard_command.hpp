// `steelyard guard`: the guard beside an application, as a command of its own.
#pragma once

namespace CLI {
class App;
}

namespace steelyard {

void add_guard(CLI::App& app, int& exit_code);

}  // namespace steelyard
