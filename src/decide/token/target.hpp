// Request targets that carry a token (or another parameter of ours) in their query. Everything else of a target stays as it is, byte by
// byte: no decoding, no normal form. A target here is path and query as in the request line, without scheme and authority. Pure.
#pragma once

#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "decide/token/claims.hpp"

namespace steelyard::token {

// Of the bytes as they are.
[[nodiscard]] TargetHash hash_of(std::string_view target);
// Without '?' and what follows it.
[[nodiscard]] std::string_view path_of(std::string_view target);

struct Carried {
  std::optional<std::string_view> value;  // in the target that was given; "" where the parameter has none
  std::string target;                     // without the parameter and the one separator that belongs to it
};
// The parameter `name`. Denied where it is there twice, or in a spelling with percent-encodings, which others would take for it.
// Parameters are separated by '&'.
[[nodiscard]] std::expected<Carried, Denied> take_parameter(std::string_view target, std::string_view name);

// The target with the parameter at the end of its query: take_parameter() gives back what was there before.
[[nodiscard]] std::string with_parameter(std::string_view target, std::string_view name, std::string_view value);

}  // namespace steelyard::token
