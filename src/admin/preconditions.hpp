// Conditional requests (RFC 9110 §13): the tag of a server is its revision. Pure.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "admin/answer.hpp"
#include "upstream/registry.hpp"

namespace steelyard::admin {

struct Conditions {
  std::optional<std::string_view> if_match;
  std::optional<std::string_view> if_none_match;
  [[nodiscard]] bool any() const { return if_match || if_none_match; }
};

[[nodiscard]] std::string tag_of(std::uint64_t revision);  // "7", quotes included

// Whether a change may be made to what has the revision `current` (nothing: is not there), and on which condition the registry is to
// make it. 412 where not.
std::expected<Precondition, Answer> judge_change(const Conditions& conditions, std::optional<std::uint64_t> current);

// Whether who asks has it already. 304 is for the caller to answer.
std::expected<bool, Answer> is_known(const Conditions& conditions, std::uint64_t current);

}  // namespace steelyard::admin
