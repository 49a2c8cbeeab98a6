#include "load/replay.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>

#include "base/ascii.hpp"
#include "wire/http/characters.hpp"

namespace steelyard::load {
namespace {

constexpr std::uint64_t due_us_max = std::uint64_t{366} * 24 * 3600 * 1'000'000;  // what is more is a mistake in the unit

bool is_target(std::string_view text) { return text.starts_with('/') && http::all_of(text, http::path_char | http::query_char); }

}  // namespace

std::expected<Due, std::string> parse_replay_line(std::string_view line) {
  const std::size_t space = line.find(' ');
  const auto due_us = parse_unsigned<std::uint64_t>(line.substr(0, space));
  if (!due_us || space == std::string_view::npos) return std::unexpected("is not a number of microseconds, a space and a path");
  if (*due_us > due_us_max) return std::unexpected("is due after more than a year; the times are microseconds from the start");
  const std::string_view target = line.substr(space + 1);
  if (!is_target(target)) return std::unexpected("has a path that does not begin with / or has characters that must be percent-encoded");
  return Due{std::chrono::microseconds(*due_us), std::string(target)};
}

std::expected<std::unique_ptr<Replay>, std::string> Replay::open(const std::string& file, Share share) {
  std::FILE* const opened = std::fopen(file.c_str(), "re");
  if (opened == nullptr) return std::unexpected(fmt::format("cannot read {}: {}", file, std::strerror(errno)));
  return std::unique_ptr<Replay>(new Replay(opened, share));
}

std::expected<void, std::string> Replay::check(const std::string& file) {
  const auto replay = open(file, {});
  if (!replay) return std::unexpected(replay.error());
  Replay& lines = **replay;
  Duration last{0};
  while (lines.read_line()) {
    const auto due = parse_replay_line(lines.text_);
    if (!due) return std::unexpected(fmt::format("{}:{}: {}", file, lines.line_, due.error()));
    if (due->at < last)
      return std::unexpected(fmt::format("{}:{}: is due before the line above it; sort the file: sort -n", file, lines.line_));
    last = due->at;
  }
  if (std::ferror(lines.file_.get()) != 0) return std::unexpected(fmt::format("cannot read {}: {}", file, std::strerror(errno)));
  if (lines.line_ == 0) return std::unexpected(fmt::format("{} has no requests; a line is: 1500 /path", file));
  return {};
}

std::optional<Due> Replay::next() {
  while (read_line()) {
    if (index_++ % share_.count != share_.index) continue;
    auto due = parse_replay_line(text_);
    if (!due) return std::nullopt;  // the file was changed after it was checked
    return std::move(*due);
  }
  return std::nullopt;
}

bool Replay::read_line() {
  text_.clear();
  int c = 0;
  while ((c = getc_unlocked(file_.get())) != EOF && c != '\n') text_ += static_cast<char>(c);
  if (c == EOF && text_.empty()) return false;
  ++line_;
  return true;
}

}  // namespace steelyard::load
