// Numbers as people read them. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "base/time.hpp"

namespace steelyard::load {

// Three digits that matter and a unit: "950 ns", "12.3 µs", "1.25 ms", "30.0 s".
[[nodiscard]] std::string spell_time(Duration duration);
// "1,234,567"
[[nodiscard]] std::string spell_count(std::uint64_t count);
// "512 B", "1.25 MiB"
[[nodiscard]] std::string spell_bytes(double bytes);
// "12.30 %"
[[nodiscard]] std::string spell_share(std::uint64_t part, std::uint64_t total);

}  // namespace steelyard::load
