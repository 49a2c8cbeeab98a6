// What became of the requests of a run: each one's outcome, and the sums of many. One for each thread; merged when all have ended.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.hpp"
#include "load/latency_histogram.hpp"

namespace steelyard::load {

// Why a request has no answer.
enum class Failure : std::uint8_t {
  none,         // it has one
  refused,      // nobody listens there
  unreachable,  // the network says there is no way, or this machine is out of ports
  reset,        // the server reset the connection
  timeout,      // no whole answer in time
  closed,       // the server closed before its answer was whole
  malformed,    // the answer was no HTTP/1, or ambiguous
  local,        // descriptors or memory of this machine have run out
  abandoned,    // the run was ended; not counted
};
inline constexpr std::size_t failure_count = 9;
// One word, as in the report and in the samples.
[[nodiscard]] std::string_view name(Failure failure);

// The servers that answers name, by small numbers. 0 is an answer that names none.
class ServerNames {
 public:
  static constexpr std::size_t names_max = 1000;  // those beyond count as the last one, "others"
  static constexpr std::size_t name_bytes_max = 200;

  ServerNames() : names_{"-"} {}
  std::uint32_t number_of(std::string_view name);
  [[nodiscard]] const std::string& name(std::uint32_t number) const { return names_[number]; }
  [[nodiscard]] std::size_t size() const { return names_.size(); }

 private:
  std::vector<std::string> names_;
  std::map<std::string, std::uint32_t, std::less<>> numbers_;
};

struct Outcome {
  Failure failure = Failure::none;
  int status = 0;
  std::uint32_t server = 0;  // of ServerNames
  std::uint64_t body_bytes = 0;
};

struct Tally {
  LatencyHistogram latency;   // of answers
  LatencyHistogram lateness;  // of the open loop: how late the generator itself sent what it had a free connection for
  std::array<std::uint64_t, 600> statuses{};
  std::array<std::uint64_t, failure_count> failures{};
  std::map<std::string, std::uint64_t> servers;  // answers of each
  std::uint64_t body_bytes = 0;
  std::uint64_t queued = 0;     // of the open loop: were due while every connection was busy
  std::uint64_t abandoned = 0;  // under way when the run was ended
  std::uint64_t connections_opened = 0;
  Instant last_end;  // of a counted request

  void count(const Outcome& outcome, Duration latency_of_answer, Instant end);
  // `servers` from what was counted by number.
  void name_servers(const ServerNames& names);
  void merge(const Tally& other);

  [[nodiscard]] std::uint64_t answered() const { return latency.count(); }
  [[nodiscard]] std::uint64_t failed() const;
  [[nodiscard]] std::uint64_t total() const { return answered() + failed(); }
  // Answered with a status below 400.
  [[nodiscard]] std::uint64_t succeeded() const;

 private:
  std::vector<std::uint64_t> by_number_;
};

}  // namespace steelyard::load
