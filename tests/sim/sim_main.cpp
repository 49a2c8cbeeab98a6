// Runs simulated worlds by hand: one seed with its trace, or many seeds in a row until one fails.
//   steelyard_sim --seed 42 --trace
//   steelyard_sim --seeds 10000 --from 1
//   steelyard_sim --packets --seeds 10000
//   steelyard_sim --crowd 50000 --at-servers 5000
#include <cstdio>
#include <string_view>

#include "base/ascii.hpp"
#include "packet_crowd.hpp"
#include "packet_world.hpp"
#include "world.hpp"

namespace {

using namespace steelyard;
using namespace steelyard::sim;

struct Arguments {
  std::uint64_t from = 1;
  std::uint64_t count = 1;
  SimNet::Trace trace = SimNet::Trace::off;
  bool packets = false;
  std::uint64_t crowd = 0;  // clients at once; 0: worlds
  std::uint32_t at_servers_max = UINT32_MAX;
};

std::optional<Arguments> parse(int count, char** texts) {
  Arguments arguments;
  for (int i = 1; i < count; ++i) {
    const std::string_view name = texts[i];
    if (name == "--trace") {
      arguments.trace = SimNet::Trace::on;
      continue;
    }
    if (name == "--packets") {
      arguments.packets = true;
      continue;
    }
    const auto value = i + 1 < count ? parse_unsigned<std::uint64_t>(texts[++i]) : std::nullopt;
    if (!value) return std::nullopt;
    if (name == "--seed" || name == "--from") {
      arguments.from = *value;
    } else if (name == "--seeds") {
      arguments.count = *value;
    } else if (name == "--crowd") {
      arguments.crowd = *value;
    } else if (name == "--at-servers") {
      arguments.at_servers_max = static_cast<std::uint32_t>(*value);
    } else {
      return std::nullopt;
    }
  }
  return arguments;
}

// Runs the worlds of all seeds; how many of them failed.
template <typename RunWorld>
int run_all(const Arguments& arguments, const RunWorld& run_world) {
  std::size_t exchanges = 0;
  std::size_t answered = 0;
  int failed = 0;
  for (std::uint64_t seed = arguments.from; seed < arguments.from + arguments.count; ++seed) {
    const auto violations = run_world(seed, exchanges, answered);
    for (const std::string& violation : violations) fmt::print("seed {}: {}\n", seed, violation);
    failed += violations.empty() ? 0 : 1;
  }
  fmt::print("{} seeds, {} failed; {} {}, {} answered by servers\n", arguments.count, failed, exchanges,
             arguments.packets ? "packets" : "requests", answered);
  return failed;
}

int run_packets(const Arguments& arguments) {
  std::size_t strays = 0;
  const int failed = run_all(arguments, [&](std::uint64_t seed, std::size_t& packets, std::size_t& answered) {
    PacketOutcome outcome = run_packet_world(seed, PacketCanary::none, arguments.trace);
    packets += outcome.packets;
    answered += outcome.answered;
    strays += outcome.strays;
    return std::move(outcome.violations);
  });
  fmt::print("{} answers to other packets, on kept connections of servers that had spoken unasked\n", strays);
  return failed;
}

int run_requests(const Arguments& arguments) {
  return run_all(arguments, [&](std::uint64_t seed, std::size_t& requests, std::size_t& answered) {
    RunOutcome outcome = run_world(seed, Canary::none, arguments.trace);
    requests += outcome.requests;
    answered += outcome.answered_by_server;
    return std::move(outcome.violations);
  });
}

int run_crowd(const Arguments& arguments) {
  const CrowdOutcome outcome = run_packet_crowd(arguments.crowd, arguments.at_servers_max);
  fmt::print("{} clients: {} packets at once, {} of them at servers and {} queued; {} answered\n", arguments.crowd, outcome.at_once,
             outcome.at_servers, outcome.queued, outcome.answered);
  fmt::print("blocks of the worker: {} bytes for each idle connection, {} with its packet under way\n",
             outcome.pool_bytes_idle / arguments.crowd, outcome.pool_bytes / arguments.crowd);
  if (!outcome.left.empty()) fmt::print("when all is over, {}\n", outcome.left);
  return outcome.answered == arguments.crowd && outcome.left.empty() ? 0 : 1;
}

}  // namespace

int main(int count, char** texts) {
  const auto arguments = parse(count, texts);
  if (!arguments) {
    std::fputs("usage: steelyard_sim [--packets] --seed N [--trace] | [--packets] --seeds N [--from K] | --crowd N [--at-servers K]\n",
               stderr);
    return 2;
  }
  if (arguments->crowd != 0) return run_crowd(*arguments);
  return (arguments->packets ? run_packets(*arguments) : run_requests(*arguments)) == 0 ? 0 : 1;
}
