// One line for each request, in the order of their due times: `DUE_US LATENCY_US STATUS SERVER BYTES`. Requests end in another order
// than they were due; those that wait for an earlier one are kept, which is bounded by what one timeout lasts. One for each thread.
#pragma once

#include <deque>
#include <expected>
#include <string>

#include "base/time.hpp"
#include "load/dispatcher.hpp"
#include "load/tally.hpp"

namespace steelyard::load {

class SampleLog {
 public:
  // Due times count from `start`.
  SampleLog(Instant start, const ServerNames& names) : start_(start), names_(names) {}
  SampleLog(const SampleLog&) = delete;
  SampleLog& operator=(const SampleLog&) = delete;
  ~SampleLog();

  // Replaces the file. Without this call nothing is written.
  std::expected<void, std::string> open(const std::string& file);
  // A counted request has ended. Every number must come once, or never where the run was ended early.
  void add(const Ticket& ticket, const Outcome& outcome, Instant end);
  // Writes what is left; the sentence says what could not be written, of this call or an earlier one.
  std::expected<void, std::string> close();

 private:
  struct Sample {
    std::int64_t due_us = 0;
    std::int64_t latency_us = -1;  // not ended yet
    std::uint64_t body_bytes = 0;
    std::uint32_t server = 0;
    std::uint16_t status = 0;
    Failure failure = Failure::none;
  };
  void write_line(const Sample& sample);
  void flush();

  Instant start_;
  const ServerNames& names_;
  std::string file_;
  int descriptor_ = -1;
  int error_ = 0;
  std::uint64_t first_ = 0;  // the number of waiting_.front()
  std::deque<Sample> waiting_;
  std::string text_;
};

// Makes one file of several, each in the order of due times, and removes them.
std::expected<void, std::string> merge_samples(const std::vector<std::string>& parts, const std::string& file);

}  // namespace steelyard::load
