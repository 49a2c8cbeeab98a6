// Configuration files: nothing escapes the loader, every problem says something and can be printed, and what is accepted means
// the same when it is written out in full.
#include <string>

#include "config/load.hpp"
#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using steelyard::fuzz::demand;
  using namespace steelyard::config;
  const auto loaded = load_text({reinterpret_cast<const char*>(bytes), size}, "input");
  if (!loaded) {
    demand(!loaded.error().empty(), "a refusal has a reason");
    for (const Problem& problem : loaded.error()) {
      demand(!problem.message.empty(), "a problem has a message");
      for (const char c : to_string(problem)) demand(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f, "a problem is one printable line");
    }
    return 0;
  }
  const std::string full = expand(loaded->options);
  const auto again = load_text(full, "expanded");
  demand(again.has_value(), "what was expanded loads");
  demand(expand(again->options) == full, "what was expanded means the same");
  return 0;
}
