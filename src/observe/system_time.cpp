#include "observe/system_time.hpp"

#include <ctime>

namespace steelyard {

Instant system_monotonic_time() {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return Instant{time.tv_sec * 1'000'000'000 + time.tv_nsec};
}

std::int64_t system_unix_time_us() {
  timespec time{};
  ::clock_gettime(CLOCK_REALTIME, &time);
  return time.tv_sec * 1'000'000 + time.tv_nsec / 1000;
}

}  // namespace steelyard
