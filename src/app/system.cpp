#include "app/system.hpp"

#include <sys/random.h>
#include <sys/resource.h>

namespace steelyard {

std::uint64_t random_seed() {
  std::uint64_t seed = 0;
  // Cannot fail for so few bytes once the system is up.
  [[maybe_unused]] const ssize_t got = getrandom(&seed, sizeof seed, 0);
  return seed;
}

std::uint64_t raise_descriptor_limit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

}  // namespace steelyard
