// Which rules can be kept exactly, and which changes of a rule leave what was counted under it its meaning. Pure; asked while a
// configuration is checked and applied, not for each request.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "decide/limit/rule.hpp"

namespace steelyard::limit {

inline constexpr std::uint64_t count_max = UINT32_MAX;  // also of `burst`
inline constexpr Duration period_min = 1ms;
inline constexpr Duration period_max = 30 * 24h;
inline constexpr Duration fill_max = 365 * 24h;  // that an empty bucket takes to be full

// What is wrong with the rule, to be shown behind the name of the limit; nothing: the functions of counting.hpp keep it.
[[nodiscard]] std::optional<std::string_view> problem(const Rule& rule);

// How states that were counted under the rule are to be read. Under a rule of which this is another text they mean nothing: what was
// counted has to be forgotten.
[[nodiscard]] std::string meaning_of_states(const Rule& rule);

}  // namespace steelyard::limit
