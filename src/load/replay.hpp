// A file of requests to be sent at given times, one a line: `DUE_US TARGET`, in order, microseconds from the start of the run. Read as
// it is needed, so that its length does not matter.
#pragma once

#include <cstdio>
#include <expected>
#include <memory>
#include <string>
#include <string_view>

#include "load/schedule.hpp"

namespace steelyard::load {

// One line without its end; or what is wrong with it, as the end of a sentence.
std::expected<Due, std::string> parse_replay_line(std::string_view line);

class Replay final : public Schedule {
 public:
  // Reads the whole file once. Every line is valid and none is due before the one above it, or the sentence says where not.
  static std::expected<void, std::string> check(const std::string& file);
  // A file that has been checked; this share of its lines.
  static std::expected<std::unique_ptr<Replay>, std::string> open(const std::string& file, Share share);

  std::optional<Due> next() override;

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  explicit Replay(std::FILE* file, Share share) : file_(file), share_(share) {}
  // The next line into text_; false at the end.
  bool read_line();

  std::unique_ptr<std::FILE, Close> file_;
  Share share_;
  std::uint64_t line_ = 0;   // in the file, from 1
  std::uint64_t index_ = 0;  // among the requests
  std::string text_;
};

}  // namespace steelyard::load
