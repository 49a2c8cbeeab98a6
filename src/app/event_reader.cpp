#include "app/event_reader.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <utility>

#include "base/ascii.hpp"
#include "config/reading.hpp"

namespace steelyard {
namespace {

std::string spell_time(std::int64_t unix_ms) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(static_cast<std::time_t>(unix_ms / 1000)), unix_ms % 1000);
}

// A word as it is, anything else as JSON.
std::string spell_value(const AdminJson& value) {
  if (!value.is_string()) return value.dump(-1, ' ', false, AdminJson::error_handler_t::replace);
  std::string text = config::printable(value.get_ref<const std::string&>());
  const bool word = !text.empty() && text.find_first_of(" \"=") == std::string::npos;
  return word ? text : fmt::format("\"{}\"", text);
}

}  // namespace

std::vector<AdminEvent> EventReader::take(std::string_view part) {
  std::vector<AdminEvent> events;
  for (std::size_t end = part.find('\n'); end != std::string_view::npos; end = part.find('\n')) {
    line_ += part.substr(0, end);
    part.remove_prefix(end + 1);
    take_line(line_, events);
    line_.clear();
  }
  line_ += part;
  return events;
}

void EventReader::take_line(std::string_view line, std::vector<AdminEvent>& events) {
  if (line.empty()) {
    if (!data_.empty()) events.push_back({type_, id_, AdminJson::parse(data_, nullptr, false)});
    type_.clear();
    data_.clear();
    return;
  }
  const std::size_t colon = std::min(line.find(':'), line.size());
  const std::string_view name = line.substr(0, colon);
  std::string_view value = line.substr(std::min(colon + 1, line.size()));
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (name == "event") type_ = value;
  if (name == "id") id_ = value;
  if (name == "data") data_ += value;
}

std::string event_line(const AdminEvent& event) {
  const AdminJson data = event.data.is_object() ? event.data : AdminJson::object();
  const auto at = data.find("at_unix_ms");
  std::string line = at != data.end() && at->is_number_integer() ? spell_time(at->get<std::int64_t>()) + " " : "";
  line += event.type;
  const std::string pool = text_of(data, "pool");
  if (!pool.empty()) line += fmt::format(" {}/{}", pool, text_of(data, "id"));
  for (const auto& [key, value] : data.items()) {
    if (key == "at_unix_ms" || (!pool.empty() && (key == "pool" || key == "id"))) continue;
    line += fmt::format(" {}={}", config::printable(key), spell_value(value));
  }
  return line;
}

AdminJson event_json(const AdminEvent& event) {
  const auto id = parse_unsigned<std::uint64_t>(event.id);
  return {{"event", event.type}, {"event_id", id ? AdminJson(*id) : AdminJson(nullptr)}, {"data", event.data}};
}

}  // namespace steelyard
