// The one place here that asks the system for the time: for the writer thread's patience and for the stamps of messages. Records
// and metrics are given theirs.
#pragma once

#include <cstdint>

#include "base/time.hpp"

namespace steelyard {

[[nodiscard]] Instant system_monotonic_time();
[[nodiscard]] std::int64_t system_unix_time_us();

}  // namespace steelyard
