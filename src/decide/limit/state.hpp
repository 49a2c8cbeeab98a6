// What is remembered of one key under one rule: 96 bits, so that a table can change them together with the key's tag in one
// instruction. Each kind has its own reading of them. All zero is a key of which nothing is known.
#pragma once

#include <cstdint>

#include "decide/limit/rule.hpp"

namespace steelyard::limit {

struct State {
  std::uint64_t low = 0;  // its highest bit is always 0: tables mark with it
  std::uint32_t high = 0;

  friend bool operator==(State, State) = default;
};

// What becomes of a state by one request, and what the request is told. A refused one changes nothing.
struct Step {
  State state;
  Verdict verdict;
};

}  // namespace steelyard::limit
