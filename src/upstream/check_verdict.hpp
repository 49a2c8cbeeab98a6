// What one health check found, in a word for the program and in a sentence for people.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.hpp"
#include "base/time.hpp"

namespace steelyard {

struct CheckVerdict {
  enum class Kind : std::uint8_t {
    healthy,
    drain,  // healthy, and asks for no new traffic
    unhealthy,
    none,  // the check could not be made, which says nothing of the server
  };
  Kind kind = Kind::healthy;
  std::string reason;
};

// How far a check has come: what was waited for when it failed.
enum class CheckPhase : std::uint8_t { connecting, sending, waiting, receiving_head, receiving_body };

// Of a check that `error` has ended; `timeout` is what a check may take.
[[nodiscard]] CheckVerdict failed_check(const Error& error, CheckPhase phase, Duration timeout);

}  // namespace steelyard
