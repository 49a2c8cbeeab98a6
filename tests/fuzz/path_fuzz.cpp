// Paths: a normal form is never longer, is its own normal form, and a server that decodes, merges and strips once more finds
// no dot segment in it.
#include <string>

#include "fuzz.hpp"
#include "wire/http/characters.hpp"
#include "wire/http/path.hpp"

namespace steelyard {
namespace {

using fuzz::demand;

// What a careless server makes of a path: everything decoded, backslashes turned into slashes.
std::string decode_carelessly(std::string_view path) {
  std::string decoded;
  for (std::size_t i = 0; i < path.size(); ++i) {
    char c = path[i];
    if (c == '%') {
      demand(i + 2 < path.size() && http::hex_value(path[i + 1]) >= 0 && http::hex_value(path[i + 2]) >= 0, "encodings are whole");
      c = static_cast<char>(http::hex_value(path[i + 1]) * 16 + http::hex_value(path[i + 2]));
      i += 2;
    }
    demand(c != '\0', "no NUL");
    decoded += c == '\\' ? '/' : c;
  }
  return decoded;
}

void check_segments(std::string_view path) {
  for (std::string_view rest = path.substr(1);;) {
    const std::size_t slash = rest.find('/');
    const std::string_view segment = rest.substr(0, slash);
    const std::string_view name = segment.substr(0, segment.find(';'));
    demand(name != "." && name != "..", "no dot segments, also after parameters are stripped");
    if (slash == std::string_view::npos) return;
    demand(!name.empty(), "no empty segments");
    rest.remove_prefix(slash + 1);
  }
}

}  // namespace
}  // namespace steelyard

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace steelyard;
  const std::string_view path = fuzz::view_of(data, size);
  std::vector<char> out(size);
  const auto once = http::normalize_path(path, out);
  if (!once || *once == "*") return 0;
  demand(once->size() <= size && once->starts_with('/'), "a normal form is a path and not longer");
  demand(http::all_of(*once, http::path_char), "and has path characters only");
  demand(fuzz::lies_inside(*once, path) || fuzz::lies_inside(*once, {out.data(), out.size()}), "and lies in the input or the buffer");
  check_segments(decode_carelessly(*once));
  std::vector<char> again(once->size());
  const auto twice = http::normalize_path(*once, again);
  demand(twice && *twice == *once, "the normal form of a normal form is itself");
  return 0;
}
