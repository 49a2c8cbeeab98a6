// `steelyard demo`: three demo servers as child processes and the proxy in front of them, all ended together.
#include "app/commands.hpp"

#include <fmt/format.h>

namespace steelyard {

int demo(std::uint16_t /*port*/) {
  fmt::print(stderr, "steelyard: the demo is not built yet\n");
  return 1;
}

}  // namespace steelyard
