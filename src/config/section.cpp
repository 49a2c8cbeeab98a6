// See section.hpp.
#include "config/section.hpp"

#include <fmt/format.h>

namespace steelyard::config {

void report_unknown_key(const Entry& entry, const std::vector<std::string>& known, const std::string& below, Reading& reading) {
  const std::string guess = below.empty() ? did_you_mean(entry.key.text, known) : fmt::format("; did you mean {}?", quote(below));
  reading.problem(entry.key, fmt::format("found the unknown key {}, allowed here is {}{}", quote(entry.key.text), any_of(known), guess));
}

void report_missing_key(const Node& node, const std::string& name, const std::string& words, Reading& reading) {
  reading.problem(node, fmt::format("{} is missing, allowed is {}: add it", quote(name), words));
}

void report_key_without_effect(const Entry& entry, const std::string& key, const std::string& value, Reading& reading) {
  reading.problem(entry.key, fmt::format("found the key {}, which counts with {}: {} only; remove it, or change {}", quote(entry.key.text),
                                         key, value, key));
}

std::string shortest_map(const std::vector<std::string>& needed) {
  if (needed.empty()) return "write {} for its defaults";
  std::string keys;
  for (const std::string& name : needed) keys += fmt::format("{}{}: ...", keys.empty() ? "" : ", ", name);
  return fmt::format("write {{{}}}", keys);
}

std::string spell_default(const Json& written) {
  if (written.is_null() || written.is_object()) return "";
  const auto plain = [](const Json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); };
  if (!written.is_array()) return fmt::format("`{}`", plain(written));
  std::string items;
  for (const Json& item : written) {
    if (item.is_structured()) return "";
    items += (items.empty() ? "" : ", ") + plain(item);
  }
  return fmt::format("`[{}]`", items);
}

void Reference::row(std::size_t section, const std::string& key, const std::string& allowed, const std::string& fallback,
                    const std::string& meaning) {
  const auto escaped = [](const std::string& text) {
    std::string cell;
    for (const char c : text) {
      if (c == '|') cell += '\\';
      cell += c;
    }
    return cell;
  };
  sections_[section].rows += fmt::format("| `{}` | {} | {} | {} |\n", key, escaped(allowed), escaped(fallback), escaped(meaning));
}

std::string Reference::text() const {
  std::string text;
  for (const Part& part : sections_) {
    text += part.path.empty() ? "### The top level\n\n" : fmt::format("### `{}`\n\n", part.path);
    text += "| key | allowed | default | meaning |\n|---|---|---|---|\n" + part.rows + "\n";
  }
  return text;
}

}  // namespace steelyard::config
