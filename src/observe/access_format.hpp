// Access records as text, one line each: JSON for programs, columns for people. Writes into memory that the caller lends and
// allocates nothing; whatever a client sent, the result is one line, valid UTF-8 and without control characters. One for each
// worker, because it remembers the text of the current second.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "observe/access_record.hpp"

namespace steelyard {

enum class LineStyle : std::uint8_t { json, human, coloured };

class AccessFormat {
 public:
  // No line is longer, line feed included.
  static constexpr std::size_t line_bytes_max = 64 * 1024;

  explicit AccessFormat(LineStyle style) : style_(style) {}
  // `out` has room for line_bytes_max bytes. Returns the length.
  std::size_t write(char* out, const AccessRecord& record);

 private:
  [[nodiscard]] const char* second_text(std::int64_t unix_s);
  char* write_json(char* at, const AccessRecord& record);
  char* write_human(char* at, const AccessRecord& record);

  LineStyle style_;
  std::int64_t second_ = INT64_MIN;
  std::array<char, 20> second_text_{};
};

}  // namespace steelyard
