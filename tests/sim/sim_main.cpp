// Runs simulated worlds by hand: one seed with its trace, or many seeds in a row until one fails.
//   steelyard_sim --seed 42 --trace
//   steelyard_sim --seeds 10000 --from 1
#include <cstdio>
#include <string_view>

#include "base/ascii.hpp"
#include "world.hpp"

namespace {

using namespace steelyard;
using namespace steelyard::sim;

struct Arguments {
  std::uint64_t from = 1;
  std::uint64_t count = 1;
  SimNet::Trace trace = SimNet::Trace::off;
};

std::optional<Arguments> parse(int count, char** texts) {
  Arguments arguments;
  for (int i = 1; i < count; ++i) {
    const std::string_view name = texts[i];
    if (name == "--trace") {
      arguments.trace = SimNet::Trace::on;
      continue;
    }
    const auto value = i + 1 < count ? parse_unsigned<std::uint64_t>(texts[++i]) : std::nullopt;
    if (!value) return std::nullopt;
    if (name == "--seed" || name == "--from") {
      arguments.from = *value;
    } else if (name == "--seeds") {
      arguments.count = *value;
    } else {
      return std::nullopt;
    }
  }
  return arguments;
}

}  // namespace

int main(int count, char** texts) {
  const auto arguments = parse(count, texts);
  if (!arguments) {
    std::fputs("usage: steelyard_sim --seed N [--trace] | --seeds N [--from K]\n", stderr);
    return 2;
  }
  std::size_t requests = 0;
  std::size_t answered = 0;
  int failed = 0;
  for (std::uint64_t seed = arguments->from; seed < arguments->from + arguments->count; ++seed) {
    const RunOutcome outcome = run_world(seed, Canary::none, arguments->trace);
    requests += outcome.requests;
    answered += outcome.answered_by_server;
    for (const std::string& violation : outcome.violations) fmt::print("seed {}: {}\n", seed, violation);
    failed += outcome.violations.empty() ? 0 : 1;
  }
  fmt::print("{} seeds, {} failed; {} requests, {} answered by servers\n", arguments->count, failed, requests, answered);
  return failed == 0 ? 0 : 1;
}
