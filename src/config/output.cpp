// The tables told to others: options as a file in the full spelling, the JSON Schema, the reference.
#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "base/ascii.hpp"
#include "config/load.hpp"
#include "config/tables.hpp"

namespace steelyard::config {
namespace {

// Whether every YAML reader takes the text for text (or for what the loader makes of it) without quotes.
bool is_plain(const std::string& text) {
  if (text.empty() || text.size() > 200) return false;
  const bool known = std::ranges::all_of(text, [](char c) {
    return is_digit(c) || (to_lower(c) >= 'a' && to_lower(c) <= 'z') || std::string_view("_./:-%").find(c) != std::string_view::npos;
  });
  if (!known || text.ends_with(':') || text.front() == '-' || text.front() == ':' || text.front() == '.' || text.front() == '%')
    return false;
  for (const char* word : {"true", "false", "yes", "no", "on", "off", "y", "n", "null"}) {
    if (equals_ignoring_case(text, word)) return false;
  }
  if (!is_digit(text.front())) return true;
  // What begins like a number stays plain only where it is plainly none: "30s", "8KiB", "20%", "502-504", "127.0.0.1:80".
  if (parse_duration(text) || parse_percent(text) || std::ranges::count(text, '.') == 3) return true;
  return (parse_size(text) && !is_digit(text.back())) || (parse_statuses(text, 200) && text.find('-') != std::string::npos);
}

std::string scalar(const Json& value) {
  if (!value.is_string()) return value.dump();
  const std::string& text = value.get_ref<const std::string&>();
  return is_plain(text) ? text : value.dump();  // a JSON string is a YAML one in double quotes
}

void emit(const Json& value, std::size_t indent, std::string& out);

// What stands after "key:" or "-": on the same line where it fits there.
void emit_value(const Json& value, std::size_t indent, std::string& out) {
  if (value.is_structured() && !value.empty()) {
    out += '\n';
    emit(value, indent, out);
  } else {
    out += (value.is_structured() ? (value.is_array() ? " []" : " {}") : " " + scalar(value)) + "\n";
  }
}

void emit(const Json& value, std::size_t indent, std::string& out) {
  const std::string margin(indent, ' ');
  if (value.is_object()) {
    for (const auto& [name, item] : value.items()) {
      out += margin + scalar(name) + ":";
      emit_value(item, indent + 2, out);
    }
    return;
  }
  for (const Json& item : value) {
    std::string text;
    if (item.is_object() && !item.empty()) {
      emit(item, indent + 2, text);
      text[indent] = '-';  // in place of the first line's margin
    } else {
      text = margin + "-";
      emit_value(item, indent + 2, text);
    }
    out += text;
  }
}

}  // namespace

std::string expand(const Options& options) {
  std::string text;
  emit(full_table().write(options), 0, text);
  return text;
}

std::string schema() {
  Json full = full_table().schema();
  full["required"] = {"listeners", "pools"};
  Json any_flat = Json::array();
  for (const std::string& name : flat_table().names()) any_flat.push_back({{"required", Json::array({name})}});
  const Json schema{
      {"$schema", "https://json-schema.org/draft/2020-12/schema"},
      {"title", "Steelyard configuration"},
      {"type", "object"},
      {"if", {{"anyOf", any_flat}}},
      {"then", {{"$ref", "#/$defs/flat"}}},
      {"else", {{"$ref", "#/$defs/full"}}},
      {"$defs", {{"full", full}, {"flat", flat_table().schema()}}},
  };
  return schema.dump(2) + "\n";
}

std::string reference() {
  Reference full;
  full_table().document("", full);
  Reference flat;
  flat_table().document("", flat);
  return "## The full spelling\n\n" + full.text() + "## The flat spelling of LoadX\n\n" + flat.text();
}

}  // namespace steelyard::config
