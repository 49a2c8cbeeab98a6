#include "wire/http/cookie.hpp"

#include <algorithm>

#include "base/ascii.hpp"

namespace steelyard::http {
namespace {

// In a list of `name=value` that `separator` parts.
std::optional<std::string_view> find_pair(std::string_view list, char separator, std::string_view name) {
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(separator), list.size());
    const std::string_view pair = trim(list.substr(0, end));
    const std::size_t equals = pair.find('=');
    if (equals != std::string_view::npos && pair.substr(0, equals) == name) return pair.substr(equals + 1);
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string_view> find_cookie(const Fields& fields, std::string_view name) {
  for (const Field& field : fields.all()) {
    if (field.id != FieldName::cookie) continue;
    auto value = find_pair(field.value, ';', name);
    if (!value) continue;
    if (value->size() >= 2 && value->front() == '"' && value->back() == '"') return value->substr(1, value->size() - 2);
    return value;
  }
  return std::nullopt;
}

std::optional<std::string_view> find_parameter(std::string_view query, std::string_view name) { return find_pair(query, '&', name); }

}  // namespace steelyard::http
