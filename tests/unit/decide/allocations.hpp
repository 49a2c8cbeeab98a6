// How often the executable has allocated so far; counted in route/router_allocation_test.cpp.
#pragma once

#include <atomic>
#include <cstddef>

namespace steelyard {

extern std::atomic<std::size_t> allocations;

}  // namespace steelyard
