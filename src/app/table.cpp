#include "app/table.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace steelyard {
namespace {

constexpr std::string_view gap = "  ";

// In characters, of UTF-8.
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80; }));
}

}  // namespace

std::string toned(std::string_view text, Tone tone, bool colours) {
  static constexpr std::string_view codes[] = {"", "\x1b[32m", "\x1b[33m", "\x1b[31m", "\x1b[2m"};
  if (!colours || tone == Tone::plain) return std::string(text);
  return fmt::format("{}{}\x1b[0m", codes[static_cast<std::size_t>(tone)], text);
}

void Table::add(std::vector<Cell> cells, std::string note) { rows_.push_back({std::move(cells), std::move(note)}); }

std::string Table::text(bool colours) const {
  std::vector<std::size_t> widths(columns_.size(), 0);
  for (const Row& row : rows_) {
    for (std::size_t i = 0; i < columns_.size(); ++i) widths[i] = std::max(widths[i], width_of(row.cells[i].text));
  }
  std::vector<Cell> titles;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    titles.push_back({std::string(columns_[i].title), Tone::faint});
    if (widths[i] != 0) widths[i] = std::max(widths[i], width_of(columns_[i].title));
  }
  std::string text = line(titles, widths, colours);
  for (const Row& row : rows_) {
    text += line(row.cells, widths, colours);
    if (!row.note.empty()) text += fmt::format("    {}\n", toned(row.note, Tone::faint, colours));
  }
  return text;
}

// Without blanks at its end.
std::string Table::line(const std::vector<Cell>& cells, const std::vector<std::size_t>& widths, bool colours) const {
  std::string line;
  std::size_t owed = 0;  // blanks that are written when something follows
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    if (widths[i] == 0) continue;
    const std::size_t padding = widths[i] - width_of(cells[i].text);
    const bool right = columns_[i].align == Align::right;
    const std::size_t before = owed + (right ? padding : 0);
    if (cells[i].text.empty()) {
      owed += widths[i] + gap.size();
      continue;
    }
    line += std::string(before, ' ') + toned(cells[i].text, cells[i].tone, colours);
    owed = gap.size() + (right ? 0 : padding);
  }
  return line + "\n";
}

std::string spell_count(std::uint64_t count) {
  if (count < 10'000) return fmt::format("{}", count);
  static constexpr char units[] = {'k', 'M', 'G', 'T', 'P', 'E'};
  double value = static_cast<double>(count) / 1000;
  std::size_t unit = 0;
  for (; value >= 999.5 && unit + 1 < sizeof units; ++unit) value /= 1000;
  return fmt::format("{:.{}f}{}", value, value < 9.995 ? 2 : value < 99.95 ? 1 : 0, units[unit]);
}

std::string spell_age(Duration age) {
  const auto seconds = std::max<std::int64_t>(age / 1s, 0);
  if (seconds >= 86'400) return fmt::format("{}d{}h", seconds / 86'400, seconds / 3600 % 24);
  if (seconds >= 3600) return fmt::format("{}h{}m", seconds / 3600, seconds / 60 % 60);
  if (seconds >= 60) return fmt::format("{}m", seconds / 60);
  return fmt::format("{}s", seconds);
}

}  // namespace steelyard
