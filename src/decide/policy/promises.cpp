#include "decide/policy/promises.hpp"

#include <algorithm>

#include "base/ascii.hpp"
#include "base/hash.hpp"

namespace steelyard::policy {

Kind kind_of(std::string_view value) {
  const Kind kind = KeyedHash(0)(value);
  return kind == no_kind ? no_kind + 1 : kind;
}

Promises::Promises(std::string_view label, std::string_view text) {
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    const std::string_view value = trim(text.substr(0, comma));
    if (!value.empty()) values_.emplace_back(value);
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  if (values_.empty()) return;
  label_ = label;
  std::ranges::sort(values_);
  values_.erase(std::ranges::unique(values_).begin(), values_.end());
  for (const std::string& value : values_) kinds_.push_back(kind_of(value));
}

std::optional<std::string_view> Promises::find(std::string_view value) const {
  const auto found = std::ranges::lower_bound(values_, value);
  if (found == values_.end() || *found != value) return std::nullopt;
  return *found;
}

bool Promises::overlap(const Promises& other) const {
  return label_ == other.label_ && std::ranges::any_of(values_, [&](const std::string& value) { return other.find(value).has_value(); });
}

}  // namespace steelyard::policy
