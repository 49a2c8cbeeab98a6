// What may be set about logs and metrics. Filled by config/.
#pragma once

#include <cstdint>
#include <string>

namespace steelyard {

enum class LogFormat : std::uint8_t { automatic, human, json };  // automatic: human on a terminal, JSON otherwise
enum class LogLevel : std::uint8_t { debug, info, warning, error };

struct LogOptions {
  std::string access = "stdout";  // "stdout", "off", or a file
  LogFormat format = LogFormat::automatic;
  LogLevel level = LogLevel::info;  // of messages to stderr; --verbose makes it debug
};

}  // namespace steelyard
