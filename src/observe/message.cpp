#include "observe/message.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>

#include "observe/line_text.hpp"
#include "observe/log_sink.hpp"
#include "observe/system_time.hpp"

namespace steelyard {

namespace {

// A line fits into PIPE_BUF, so that it goes into a pipe whole or not at all.
constexpr std::size_t text_bytes_max = 640;
constexpr std::size_t line_bytes_max = 4096;
static_assert(text_bytes_max * escape_factor + cut_mark_bytes + 128 <= line_bytes_max);

enum class Style : std::uint8_t { json, human, coloured };

std::atomic<LogLevel> level_from{LogLevel::info};
std::atomic<std::uint64_t> dropped_count{0};

// Guarded by its mutex; lives as long as the process, because threads may write until its very end.
struct Output {
  std::mutex mutex;
  LogSink sink;
  Style style = Style::json;
  MessageLimiter limiter;

  Output() { use(2, LogFormat::automatic); }
  void use(int descriptor, LogFormat format) {
    sink = LogSink::share(descriptor, "stderr").value_or(LogSink{});
    const bool terminal = sink.is_terminal();
    const bool human = format == LogFormat::human || (format == LogFormat::automatic && terminal);
    style = !human ? Style::json : terminal ? Style::coloured : Style::human;
  }
};

Output& output() {
  static Output& only = *new Output;
  return only;
}

std::string_view colour_of(LogLevel level) {
  switch (level) {
    case LogLevel::debug: return "\x1b[2m";
    case LogLevel::info: return "\x1b[32m";
    case LogLevel::warning: return "\x1b[33m";
    case LogLevel::error: return "\x1b[31m";
  }
  return "";
}

char* put_json(char* at, LogLevel level, std::string_view text, std::int64_t unix_us) {
  at = put_date_and_time(put(at, R"({"time":")"), unix_us / 1'000'000, 'T');
  at = put(put_fraction(at, unix_us, 6), R"(Z","level":")");
  at = put(put(at, name(level)), R"(","message":")");
  return put(put_escaped(at, text, text_bytes_max), R"("})");
}

char* put_human(char* at, LogLevel level, std::string_view text, std::int64_t unix_us, Style style) {
  at = put(put_fraction(put_date_and_time(at, unix_us / 1'000'000, ' '), unix_us, 3), "  ");
  if (style == Style::coloured) at = put(at, colour_of(level));
  const char* column = at;
  at = pad(put(at, name(level)), column, 7);
  if (style == Style::coloured) at = put(at, "\x1b[0m");
  return put_escaped(put(at, "  "), text, text_bytes_max);
}

void write_line(Output& to, LogLevel level, std::string_view text) {
  std::array<char, line_bytes_max> line;
  const std::int64_t now_us = system_unix_time_us();
  char* end = to.style == Style::json ? put_json(line.data(), level, text, now_us) : put_human(line.data(), level, text, now_us, to.style);
  *end++ = '\n';
  const auto size = static_cast<std::size_t>(end - line.data());
  const Result<std::size_t> written = to.sink.write({std::string_view{line.data(), size}, {}});
  if (!written || *written != size) dropped_count.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace

void write_message(LogLevel level, std::string_view text) {
  Output& to = output();
  const std::scoped_lock lock(to.mutex);
  write_line(to, level, text);
}

void write_message_limited(LogLevel level, std::string_view key, std::string_view text) {
  Output& to = output();
  const std::scoped_lock lock(to.mutex);
  const auto held_back = to.limiter.admit(key, system_monotonic_time());
  if (!held_back) return;
  if (*held_back == 0) {
    write_line(to, level, text);
  } else {
    write_line(to, level, fmt::format("{} ({} more of these were held back)", text, *held_back));
  }
}

std::string_view name(LogLevel level) {
  switch (level) {
    case LogLevel::debug: return "debug";
    case LogLevel::info: return "info";
    case LogLevel::warning: return "warning";
    case LogLevel::error: return "error";
  }
  return "unknown";
}

void configure_messages(const LogOptions& options, int descriptor) {
  level_from.store(options.level, std::memory_order_relaxed);
  Output& to = output();
  const std::scoped_lock lock(to.mutex);
  to.use(descriptor, options.format);
}

bool message_enabled(LogLevel level) { return level >= level_from.load(std::memory_order_relaxed); }

std::uint64_t messages_dropped() { return dropped_count.load(std::memory_order_relaxed); }

std::optional<std::uint64_t> MessageLimiter::admit(std::string_view key, Instant now) {
  if (const auto entry = entries_.find(key); entry != entries_.end()) {
    if (now - entry->second.passed < interval) {
      ++entry->second.held_back;
      return std::nullopt;
    }
    entry->second.passed = now;
    return std::exchange(entry->second.held_back, 0);
  }
  if (entries_.size() >= keys_max) {
    const auto earlier = [](const auto& a, const auto& b) { return a.second.passed < b.second.passed; };
    entries_.erase(std::min_element(entries_.begin(), entries_.end(), earlier));
  }
  entries_.emplace(key, Entry{.passed = now});
  return 0;
}

}  // namespace steelyard
