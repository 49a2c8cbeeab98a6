#include "load/samples.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <queue>
#include <utility>

#include "base/ascii.hpp"

namespace steelyard::load {
namespace {

constexpr std::size_t flush_bytes = 64 * 1024;

// A column is a word, whatever a server calls itself.
std::string as_word(std::string_view text) {
  std::string word(text);
  for (char& c : word) {
    if (static_cast<unsigned char>(c) <= ' ' || c == 0x7f) c = '_';
  }
  return word.empty() ? "-" : word;
}

std::unexpected<std::string> cannot_write(const std::string& file, int error) {
  return std::unexpected(fmt::format("cannot write {}: {}", file, std::strerror(error)));
}

}  // namespace

SampleLog::~SampleLog() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

std::expected<void, std::string> SampleLog::open(const std::string& file) {
  file_ = file;
  descriptor_ = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor_ < 0) return cannot_write(file_, errno);
  text_.reserve(flush_bytes + 256);
  return {};
}

void SampleLog::add(const Ticket& ticket, const Outcome& outcome, Instant end) {
  if (descriptor_ < 0) return;
  const std::uint64_t place = ticket.number - first_;
  if (waiting_.size() <= place) waiting_.resize(place + 1);
  waiting_[place] = {.due_us = (ticket.due - start_).count() / 1000,
                     .latency_us = std::max<std::int64_t>((end - ticket.due).count() / 1000, 0),
                     .body_bytes = outcome.body_bytes,
                     .server = outcome.server,
                     .status = static_cast<std::uint16_t>(outcome.status),
                     .failure = outcome.failure};
  while (!waiting_.empty() && waiting_.front().latency_us >= 0) {
    write_line(waiting_.front());
    waiting_.pop_front();
    ++first_;
  }
}

void SampleLog::write_line(const Sample& sample) {
  const bool answered = sample.failure == Failure::none;
  fmt::format_to(std::back_inserter(text_), "{} {} {} {} {}\n", sample.due_us, sample.latency_us, answered ? sample.status : 0,
                 answered ? as_word(names_.name(sample.server)) : name(sample.failure), sample.body_bytes);
  if (text_.size() >= flush_bytes) flush();
}

void SampleLog::flush() {
  std::string_view rest = text_;
  while (!rest.empty() && error_ == 0) {
    const ssize_t written = ::write(descriptor_, rest.data(), rest.size());
    if (written >= 0) rest.remove_prefix(static_cast<std::size_t>(written));
    if (written < 0 && errno != EINTR) error_ = errno;
  }
  text_.clear();
}

std::expected<void, std::string> SampleLog::close() {
  if (descriptor_ < 0) return {};
  for (const Sample& sample : waiting_) {
    if (sample.latency_us >= 0) write_line(sample);
  }
  waiting_.clear();
  flush();
  if (::close(std::exchange(descriptor_, -1)) != 0 && error_ == 0) error_ = errno;
  if (error_ != 0) return cannot_write(file_, error_);
  return {};
}

std::expected<void, std::string> merge_samples(const std::vector<std::string>& parts, const std::string& file) {
  struct Line {
    std::uint64_t due_us;
    std::size_t part;
    std::string text;
    bool operator<(const Line& other) const { return due_us > other.due_us; }  // the earliest is the top of the queue
  };
  std::vector<std::ifstream> inputs;
  std::priority_queue<Line> next;
  const auto read_line = [&](std::size_t part) {
    std::string text;
    if (!std::getline(inputs[part], text)) return;
    const auto due_us = parse_unsigned<std::uint64_t>(std::string_view(text).substr(0, text.find(' '))).value_or(0);
    next.push({due_us, part, std::move(text)});
  };
  for (const std::string& part : parts) inputs.emplace_back(part);
  for (std::size_t part = 0; part < parts.size(); ++part) read_line(part);
  std::ofstream output(file, std::ios::trunc);
  while (!next.empty()) {
    const Line line = next.top();
    next.pop();
    output << line.text << '\n';
    read_line(line.part);
  }
  output.flush();
  if (!output) return cannot_write(file, errno);
  for (const std::string& part : parts) unlink(part.c_str());
  return {};
}

}  // namespace steelyard::load
