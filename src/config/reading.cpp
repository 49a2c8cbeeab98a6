// See reading.hpp.
#include "config/reading.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/ascii.hpp"

namespace steelyard::config {

Reading::Step::Step(Reading& reading, std::string_view key) : reading_(reading), length_(reading.path_.size()) {
  if (!reading.path_.empty()) reading.path_ += '.';
  const bool plain =
      !key.empty() && key.size() <= 64 && std::ranges::all_of(key, [](char c) { return c > ' ' && c != '.' && c != '[' && c != '"'; });
  reading.path_ += plain ? std::string(key) : quote(key);
}

Reading::Step::Step(Reading& reading, std::size_t index) : reading_(reading), length_(reading.path_.size()) {
  reading.path_ += fmt::format("[{}]", index);
}

void Reading::problem(const Node& at, std::string message) {
  if (problems_.size() < problems_max) {
    problems_.push_back(make(at, std::move(message)));
  } else {
    ++problems_left_out_;
  }
}

void Reading::refuse(const Node& at, std::string_view why, std::string_view allowed, std::string_view hint) {
  const bool helpful = why.find("write ") != std::string_view::npos || why.find("allowed") != std::string_view::npos;
  const std::string rest = helpful ? "" : fmt::format("; allowed is {}", allowed);
  problem(at, fmt::format("found {}, which {}{}{}", found(at), why, rest, hint));
}

std::string printable(std::string_view text) {
  std::string shown;
  for (const char c : text) {
    if (c == '\n') {
      shown += "\\n";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      shown += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      shown += c;
    }
  }
  return shown;
}

std::string quote(std::string_view text) {
  constexpr std::size_t shown_max = 60;
  std::string shown = "\"";
  std::size_t length = std::min(text.size(), shown_max);
  while (length < text.size() && length > 0 && (static_cast<unsigned char>(text[length]) & 0xc0U) == 0x80U) --length;
  shown += printable(text.substr(0, length));
  return shown + (length < text.size() ? "…\"" : "\"");
}

std::string found(const Node& node) {
  switch (node.kind) {
    case NodeKind::null: return "nothing";
    case NodeKind::list: return "a list";
    case NodeKind::map: return "a map";
    case NodeKind::scalar: break;
  }
  const bool number = !node.text.empty() && node.text.size() <= 40 && node.text.find_first_not_of("+-.0123456789") == std::string::npos;
  if (number && !node.quoted) return node.text;
  return (number ? "the text " : "") + quote(node.text);
}

std::string any_of(const std::vector<std::string>& words) {
  std::string text;
  constexpr std::size_t shown_max = 20;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i == shown_max) return text + fmt::format(" or {} others", words.size() - shown_max);
    if (i > 0) text += i + 1 == words.size() ? " or " : ", ";
    text += words[i];
  }
  return text;
}

namespace {

// Edits between two words: insertions, deletions, replacements and swapped neighbours.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> cost(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) cost[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) cost[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = cost[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, replaced});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
    }
  }
  return cost[a.size()][b.size()];
}

// Writers of other systems' files mix these up; they are no typing errors.
std::string folded(std::string_view word) {
  std::string text = to_lower(word);
  std::ranges::replace(text, '-', '_');
  return text;
}

}  // namespace

std::string nearest(std::string_view text, const std::vector<std::string>& candidates) {
  constexpr std::size_t length_max = 64;
  if (text.empty() || text.size() > length_max) return "";
  // "warn" for warning, "conn" for connections.
  for (const std::string& candidate : candidates) {
    if (text.size() >= 3 && folded(candidate).starts_with(folded(text))) return candidate;
  }
  const std::string* best = nullptr;
  std::size_t best_distance = std::max<std::size_t>(1, text.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    if (candidate.empty() || candidate.size() > length_max) continue;
    const std::size_t edits = distance(folded(text), folded(candidate));
    if (edits < best_distance && edits < candidate.size()) {
      best_distance = edits;
      best = &candidate;
    }
  }
  return best == nullptr ? "" : *best;
}

std::string did_you_mean(std::string_view text, const std::vector<std::string>& candidates) {
  const std::string candidate = nearest(text, candidates);
  return candidate.empty() ? "" : fmt::format("; did you mean {}?", quote(candidate));
}

void drop_duplicate_keys(Node& node, Reading& reading) {
  std::map<std::string, int, std::less<>> lines;
  std::erase_if(node.entries, [&](const Entry& entry) {
    const auto [first, inserted] = lines.emplace(entry.key.text, entry.key.line);
    if (inserted) return false;
    const Reading::Step step(reading, entry.key.text);
    reading.problem(entry.key,
                    fmt::format("the key is here a second time, allowed is once: the first is in line {}; remove one", first->second));
    return true;
  });
  for (Entry& entry : node.entries) {
    const Reading::Step step(reading, entry.key.text);
    drop_duplicate_keys(entry.value, reading);
  }
  for (std::size_t i = 0; i < node.items.size(); ++i) {
    const Reading::Step step(reading, i);
    drop_duplicate_keys(node.items[i], reading);
  }
}

}  // namespace steelyard::config
