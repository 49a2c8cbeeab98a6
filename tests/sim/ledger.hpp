// What is known of every request of a run, by its id, from both sides, and what was found to be wrong. Actors write into it.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "promises.hpp"

namespace steelyard::sim {

// Deliberate faults of the actors, which the checks must find: they test the checks.
enum class Canary : std::uint8_t { none, swap_bodies, repeat_posts, short_until_close, mislabel };

// Where a run gives up.
inline constexpr std::uint64_t steps_max = 3'000'000;
inline constexpr std::size_t violations_max = 20;

struct RequestRecord {
  std::string method;
  std::size_t body_bytes = 0;
  bool trailers = false;
  enum class Kind : std::uint8_t { valid, bad_head, bad_body, too_large } kind = Kind::valid;
  Demands demands{};
  // What happened.
  bool begun = false;
  Instant begun_at{};
  bool fully_sent = false;
  std::uint32_t acted_on = 0;   // how often a server has seen its whole head
  std::uint32_t completed = 0;  // how often a server has got all of it
  int status = 0;
  bool answered_by_server = false;
  bool answered_early = false;     // a server did so before it had all of it
  bool connection_closed = false;  // instead of an answer
};

class Ledger {
 public:
  Canary canary = Canary::none;
  PromiseBook promises;

  // The id of a new request.
  std::uint64_t add(RequestRecord request) {
    requests_.push_back(std::move(request));
    return requests_.size() - 1;
  }
  // nullptr: nobody ever sent that.
  RequestRecord* find(std::uint64_t id) { return id < requests_.size() ? &requests_[id] : nullptr; }
  [[nodiscard]] const std::vector<RequestRecord>& requests() const { return requests_; }

  template <typename... Arguments>
  void violation(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    violations_.push_back(fmt::format(format, std::forward<Arguments>(arguments)...));
  }
  [[nodiscard]] const std::vector<std::string>& violations() const { return violations_; }

 private:
  std::vector<RequestRecord> requests_;
  std::vector<std::string> violations_;
};

}  // namespace steelyard::sim
