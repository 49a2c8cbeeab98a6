// What commands ask of the system.
#pragma once

#include <cstdint>

namespace steelyard {

[[nodiscard]] std::uint64_t random_seed();

// As many descriptors as the system lets this process have; returns how many these are.
std::uint64_t raise_descriptor_limit();

}  // namespace steelyard
