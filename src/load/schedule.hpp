// When the requests of an open loop are due: at a rate, evenly or as a Poisson process, or at the times of a file. Knows no clock:
// times count from the start of the run.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/prng.hpp"
#include "base/time.hpp"
#include "load/options.hpp"

namespace steelyard::load {

struct Due {
  Duration at{0};
  std::string target;  // empty for that of the command line
};

class Schedule {
 public:
  virtual ~Schedule() = default;
  // Due times never go back. Nothing: there are no more.
  virtual std::optional<Due> next() = 0;
};

// `rate` requests per second, after a ramp in which the rate grows linearly from 0. The shares of a run are interleaved: together
// they are the same process as one share alone.
class Arrivals final : public Schedule {
 public:
  Arrivals(double rate, Spacing spacing, Duration ramp, Share share, std::uint64_t seed);

  std::optional<Due> next() override;

 private:
  [[nodiscard]] Duration when(double expected) const;

  double rate_;
  Spacing spacing_;
  double ramp_s_;
  Share share_;
  Prng random_;
  double expected_;  // requests of the whole run until the next one of this share
};

}  // namespace steelyard::load
