// The command line of `steelyard load` as it was typed, and what it means.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "load/options.hpp"

namespace steelyard {

struct LoadArguments {
  std::string url = "http://localhost:8080";
  std::string path{};
  std::optional<std::uint64_t> requests{};
  std::optional<std::uint32_t> concurrency{};
  std::uint32_t threads = 1;
  std::optional<double> rate{};
  std::string arrivals{};
  std::string replay{};
  std::string duration{};
  std::string warmup{};
  std::string ramp{};
  std::string timeout{};
  std::string method{};
  std::vector<std::string> fields{};
  std::string body{};  // or @FILE
  bool no_keepalive = false;
  std::string server_header = "X-Backend";
  std::optional<std::uint64_t> seed{};
  std::string output{};
  std::string samples{};
};

struct LoadPlan {
  load::RunOptions options;  // without the address
  std::string host;
  std::uint16_t port = 80;
  std::string url;  // in full, for the report
};

// Reads the body's file, if any. The sentence says which argument is wrong and what to write; `random_seed` is for who names none.
std::expected<LoadPlan, std::string> plan_load(const LoadArguments& arguments, std::uint64_t random_seed);

}  // namespace steelyard
