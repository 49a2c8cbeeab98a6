#include "load/schedule.hpp"

#include <cmath>

namespace steelyard::load {
namespace {

// Of mean 1.
double exponential(Prng& random) {
  const double uniform = static_cast<double>(random.next() >> 11U) * 0x1.0p-53;
  return -std::log1p(-uniform);
}

}  // namespace

Arrivals::Arrivals(double rate, Spacing spacing, Duration ramp, Share share, std::uint64_t seed)
    : rate_(rate),
      spacing_(spacing),
      ramp_s_(std::chrono::duration<double>(ramp).count()),
      share_(share),
      random_(seed),
      expected_(spacing == Spacing::even ? share.index : exponential(random_) * share.count) {}

std::optional<Due> Arrivals::next() {
  const Duration at = when(expected_);
  // A share of a Poisson process is one too, of a lower rate.
  expected_ += spacing_ == Spacing::even ? share_.count : exponential(random_) * share_.count;
  return Due{at, {}};
}

// The inverse of the number of requests that are expected until a moment: a Poisson process whose rate changes is one of rate 1 on
// a clock that runs at that rate (Çinlar 1975).
Duration Arrivals::when(double expected) const {
  const double during_ramp = rate_ * ramp_s_ / 2;
  const double seconds = expected < during_ramp ? std::sqrt(2 * expected * ramp_s_ / rate_) : ramp_s_ + (expected - during_ramp) / rate_;
  return Duration{static_cast<std::int64_t>(seconds * 1e9)};
}

}  // namespace steelyard::load
