// The field Range: what is taken lies within the body, whatever its size.
#include "backend/range.hpp"
#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace steelyard;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const std::uint64_t body_bytes : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{1000}, UINT64_MAX}) {
    const auto part = backend::parse_range(text, body_bytes);
    if (!part) continue;
    fuzz::demand(part->count <= body_bytes && part->first <= body_bytes - part->count, "a part lies within its body");
  }
  return 0;
}
