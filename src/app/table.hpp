// Text for people: columns that line up, and the short spellings of numbers and times that stand in them. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.hpp"

namespace steelyard {

enum class Tone : std::uint8_t { plain, good, warning, bad, faint };
// In that colour, where there are colours. The text comes without control characters.
[[nodiscard]] std::string toned(std::string_view text, Tone tone, bool colours);

class Table {
 public:
  enum class Align : std::uint8_t { left, right };
  struct Column {
    std::string_view title;
    Align align = Align::left;
  };
  struct Cell {
    std::string text;
    Tone tone = Tone::plain;
  };

  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  // As many cells as there are columns. A note stands below its row.
  void add(std::vector<Cell> cells, std::string note = "");
  [[nodiscard]] bool empty() const { return rows_.empty(); }
  // With a line of titles. A column without any text is left out.
  [[nodiscard]] std::string text(bool colours) const;

 private:
  struct Row {
    std::vector<Cell> cells;
    std::string note;
  };
  [[nodiscard]] std::string line(const std::vector<Cell>& cells, const std::vector<std::size_t>& widths, bool colours) const;

  std::vector<Column> columns_;
  std::vector<Row> rows_;
};

// "842", "12.3k", "4.56M"
[[nodiscard]] std::string spell_count(std::uint64_t count);
// "42s", "5m", "2h13m", "3d4h"; nothing is ever negative
[[nodiscard]] std::string spell_age(Duration age);

}  // namespace steelyard
