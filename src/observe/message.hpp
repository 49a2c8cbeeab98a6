// Messages to the operator on stderr: one line each, with time, level and text. Any thread may write them. They are for what an
// operator should know or do something about, not for requests: those have the access log. A message never waits for whoever reads
// stderr: if the line does not fit, it is dropped and counted.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.hpp"
#include "observe/options.hpp"

namespace steelyard {

[[nodiscard]] std::string_view name(LogLevel level);

// Before the first message; until then messages from `info` up go to stderr, in the format that fits it. The descriptor is not
// owned.
void configure_messages(const LogOptions& options, int descriptor = 2);

// Guards debug messages, whose arguments would cost something: `if (message_enabled(LogLevel::debug)) log_message(...)`.
[[nodiscard]] bool message_enabled(LogLevel level);
[[nodiscard]] std::uint64_t messages_dropped();

void write_message(LogLevel level, std::string_view text);
// For what can happen thousands of times a second: at most one message a second for each key; the next one that passes
// says how many were held back.
void write_message_limited(LogLevel level, std::string_view key, std::string_view text);

template <typename... Arguments>
void log_message(LogLevel level, fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  if (message_enabled(level)) write_message(level, fmt::format(format, std::forward<Arguments>(arguments)...));
}
template <typename... Arguments>
void log_message_limited(LogLevel level, std::string_view key, fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  if (message_enabled(level)) write_message_limited(level, key, fmt::format(format, std::forward<Arguments>(arguments)...));
}

// Decides which of many equal messages pass. Not thread-safe; pure.
class MessageLimiter {
 public:
  static constexpr Duration interval = 1s;
  static constexpr std::size_t keys_max = 256;  // beyond it the key that passed longest ago is forgotten

  // Nothing when the message must be held back, else the number of those held back since the last one that passed.
  [[nodiscard]] std::optional<std::uint64_t> admit(std::string_view key, Instant now);

 private:
  struct Entry {
    Instant passed;
    std::uint64_t held_back = 0;
  };
  std::map<std::string, Entry, std::less<>> entries_;
};

}  // namespace steelyard
