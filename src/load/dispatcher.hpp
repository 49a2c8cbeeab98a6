// Which request is next, when it is due and whether it counts: the limits of a run, its warm-up, and the schedule of an open loop.
// Reads no clock. Requests that are due while nobody is free wait here, and need no memory: they are what the schedule has not been
// asked for. One for each thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/time.hpp"
#include "load/schedule.hpp"

namespace steelyard::load {

// A request to be sent now.
struct Ticket {
  Instant due;
  std::string target;        // empty for that of the command line
  bool counted = true;       // not part of the warm-up
  std::uint64_t number = 0;  // among the counted ones of this thread, in the order of their due times
};

struct Limits {
  Instant start;
  Instant count_from;   // what is due earlier is warm-up
  Instant end = never;  // nothing is due from then on
  std::uint64_t counted_max = UINT64_MAX;
};

class Dispatcher {
 public:
  // Without a schedule the loop is closed: each request is due when somebody asks for it.
  Dispatcher(const Limits& limits, std::unique_ptr<Schedule> schedule);

  // The next request, if one is due. `now` must not go back.
  std::optional<Ticket> take(Instant now);
  // Of the open loop: when the next request is due; `never` once there are no more.
  [[nodiscard]] Instant next_due() const { return over_ ? never : upcoming_.due; }
  // There will be no more.
  [[nodiscard]] bool over() const { return over_; }
  void stop() { over_ = true; }

 private:
  // Numbers `ticket`, or ends the run where a limit is reached.
  bool admit(Ticket& ticket);
  void look_ahead();

  Limits limits_;
  std::unique_ptr<Schedule> schedule_;
  Ticket upcoming_;
  std::uint64_t counted_ = 0;
  bool over_ = false;
};

}  // namespace steelyard::load
