// A run of `steelyard load` from its first to its last request: threads, signals, progress.
#pragma once

#include <expected>
#include <string>

#include "load/report.hpp"

namespace steelyard {

struct LoadResult {
  load::Findings findings;   // without the URL
  std::string file_problem;  // why the samples are not all there; empty where they are
};

// Blocks until the run is over or ended by SIGINT or SIGTERM. Shows progress on stderr where that is a terminal. The sentence says why
// there was no run.
std::expected<LoadResult, std::string> execute_load(const load::RunOptions& options);

}  // namespace steelyard
