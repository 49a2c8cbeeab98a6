#include "app/load_command.hpp"

#include <fmt/format.h>
#include <signal.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "app/exit_codes.hpp"
#include "app/load_arguments.hpp"
#include "app/load_run.hpp"
#include "app/resolve.hpp"
#include "app/system.hpp"
#include "load/report.hpp"

namespace steelyard {
namespace {

int refuse(const std::string& sentence, int exit_code) {
  fmt::print(stderr, "steelyard load: {}\n", sentence);
  return exit_code;
}

std::uint64_t short_random_seed() {
  return static_cast<std::uint32_t>(random_seed());  // short enough to be typed again
}

bool write_file(const std::string& file, const std::string& text) {
  std::FILE* const output = std::fopen(file.c_str(), "we");
  if (output == nullptr) return false;
  const bool written = std::fwrite(text.data(), 1, text.size(), output) == text.size();
  return std::fclose(output) == 0 && written;
}

// Why nothing succeeded, and what to do.
std::string explain_failure(const load::Findings& findings) {
  const load::Tally& tally = findings.tally;
  const auto failed = [&](load::Failure failure) { return tally.failures[static_cast<std::size_t>(failure)] > 0; };
  const std::string where = findings.options.address.to_string();
  if (tally.total() == 0) return "no request was counted: the run was over before one ended";
  if (tally.connections_opened == 0 && failed(load::Failure::refused))
    return fmt::format("nobody listens on {}; is the server running?", where);
  if (tally.connections_opened == 0) return fmt::format("could not connect to {}; is that the right address?", where);
  return fmt::format("none of {} requests succeeded; see the answers and errors above", tally.total());
}

int run_load(const LoadArguments& arguments) {
  auto plan = plan_load(arguments, short_random_seed());
  if (!plan) return refuse(plan.error(), exit_usage);
  const auto address = resolve(plan->host, plan->port);
  if (!address) return refuse(address.error(), exit_failed);
  plan->options.address = *address;
  // Before the run, which may have been long.
  if (!arguments.output.empty() && !write_file(arguments.output, "")) {
    return refuse(fmt::format("--output {}: {}", arguments.output, std::strerror(errno)), exit_usage);
  }
  auto result = execute_load(plan->options);
  if (!result) return refuse(result.error(), exit_failed);
  load::Findings& findings = result->findings;
  findings.url = plan->url;
  std::fputs(load::to_text(findings).c_str(), stdout);
  std::fflush(stdout);
  if (!arguments.output.empty() && !write_file(arguments.output, load::to_json(findings))) {
    return refuse(fmt::format("--output {}: {}", arguments.output, std::strerror(errno)), exit_failed);
  }
  if (!result->file_problem.empty()) return refuse(result->file_problem, exit_failed);
  if (findings.tally.succeeded() == 0) return refuse(explain_failure(findings), exit_failed);
  return 0;
}

void add_what_is_sent(CLI::App& command, LoadArguments& arguments) {
  command.add_option("URL", arguments.url, "Where to; only http")->capture_default_str();
  command.add_option("--path", arguments.path, "Path behind that URL, with a query if need be");
  command.add_option("--method", arguments.method, "Method; without it GET, or POST where there is a body");
  command.add_option("-H,--header", arguments.fields, "Field of the head, \"Name: value\"; again for the next one")
      ->allow_extra_args(false);
  command.add_option("--body", arguments.body, "Body, or @FILE for what is in a file");
  command.add_flag("--no-keepalive", arguments.no_keepalive, "A connection for each request");
}

void add_how_much(CLI::App& command, LoadArguments& arguments) {
  command.add_option("-n,--requests", arguments.requests, "End after so many; 1000 where nothing else says when to end")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1'000'000'000'000}));
  command.add_option("-c,--concurrency", arguments.concurrency, "Connections; without it 10, with --rate or --replay up to 1000 as needed")
      ->check(CLI::Range(1, 1'000'000));
  command.add_option("--duration", arguments.duration, "End after so long, such as 10s");
  command.add_option("--warmup", arguments.warmup, "Before that, so long without counting");
  command.add_option("--ramp", arguments.ramp, "From the start, so long until the whole rate or every connection is there");
  command.add_option("--timeout", arguments.timeout, "Give up a request so long after it was due; without it 30s");
  command.add_option("--threads", arguments.threads, "Threads that share the load")->capture_default_str()->check(CLI::Range(1, 256));
}

void add_when(CLI::App& command, LoadArguments& arguments) {
  command
      .add_option("--rate", arguments.rate,
                  "Open loop: so many requests a second, whether answers come or not; latency counts from when each was due")
      ->check(CLI::Range(0.001, 1e7));
  command.add_option("--arrivals", arguments.arrivals, "poisson (the default) or even, of --rate")
      ->check(CLI::IsMember({"poisson", "even"}));
  command.add_option("--seed", arguments.seed, "Of the Poisson process, to repeat a run");
  command.add_option("--replay", arguments.replay,
                     "Open loop: a file with a line DUE_US PATH for each request, microseconds from the start");
}

void add_what_is_told(CLI::App& command, LoadArguments& arguments) {
  command.add_option("-o,--output", arguments.output, "Write the report to this file too, as JSON");
  command.add_option("--samples", arguments.samples, "Write a line DUE_US LATENCY_US STATUS SERVER BYTES for each request to this file");
  command.add_option("--server-header", arguments.server_header, "The field of an answer that names its server")->capture_default_str();
}

}  // namespace

void add_load(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("load", "Send load to a server and measure its answers.");
  auto arguments = std::make_shared<LoadArguments>();
  add_what_is_sent(*command, *arguments);
  add_how_much(*command, *arguments);
  add_when(*command, *arguments);
  add_what_is_told(*command, *arguments);
  command->footer(
      "Examples:\n  steelyard load http://127.0.0.1:8080/ -n 10000 -c 50\n  steelyard load http://127.0.0.1:8080/ --rate 2000 --duration "
      "30s --warmup 2s\n\nCtrl-C ends early and still reports.");
  command->callback([arguments, &exit_code] { exit_code = run_load(*arguments); });
}

}  // namespace steelyard
