// What the fuzz targets share: an oracle that stops the process, and input in buffers that end where the bytes end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size);

namespace steelyard::fuzz {

// An oracle says what must be true of any input; a fuzzer reports the abort.
inline void demand(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "oracle: %s\n", what);
  std::abort();
}

inline std::string_view view_of(const std::uint8_t* bytes, std::size_t size) {
  return size == 0 ? std::string_view{} : std::string_view{reinterpret_cast<const char*>(bytes), size};
}

inline bool lies_inside(std::string_view part, std::string_view whole) {
  return part.empty() || (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

// Feeds more and more of `bytes`, `step` at a time, each time in a buffer of its own. The last buffer stays in `buffer`, which
// the views of the head lie in.
template <typename Parse>
auto parse_in_steps(std::string_view bytes, std::size_t step, std::vector<char>& buffer, Parse parse) {
  for (std::size_t end = step;; end += step) {
    const std::string_view seen = bytes.substr(0, end);
    buffer = std::vector<char>(seen.begin(), seen.end());
    const auto taken = parse(std::string_view{buffer.data(), buffer.size()});
    if (!taken || *taken != 0 || seen.size() == bytes.size()) return taken;
  }
}

}  // namespace steelyard::fuzz
