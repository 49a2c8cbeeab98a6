// What a process knows when another one takes its place, as a value and as the JSON document in which it travels. The document may have
// been written by another version: what it lacks keeps its default, and what is not known here is passed over.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.hpp"
#include "observe/metrics.hpp"
#include "proxy/used_tokens.hpp"
#include "quota/limit.hpp"
#include "upstream/knowledge.hpp"

namespace steelyard {

struct ProcessState {
  struct KnownPool {
    std::string name;
    std::vector<ServerKnowledge> servers;
  };

  struct KnownLimit {
    std::string name;
    quota::LimitCounts counts;
  };

  Instant start;                 // of the first of these processes
  MetricsSnapshot metrics;       // the counters of all of them
  std::string session_secret{};  // of pools that have none of their own
  std::uint64_t seed = 0;
  std::vector<KnownPool> pools{};
  std::vector<KnownLimit> limits{};
  UsedTokens::Memory used_tokens{};
  std::vector<quota::CopiedLimit> copied_limits{};  // in a file that comes with the document
  std::string registry{};                           // for whoever keeps the registered servers; opaque here
};

[[nodiscard]] std::string to_json(const ProcessState& state);
// The sentence says what is wrong with the document.
[[nodiscard]] std::expected<ProcessState, std::string> read_process_state(std::string_view json);

}  // namespace steelyard
