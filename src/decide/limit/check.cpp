#include "decide/limit/check.hpp"

#include <fmt/format.h>

#include "decide/limit/sliding_window.hpp"

namespace steelyard::limit {

std::optional<std::string_view> problem(const Rule& rule) {
  if (rule.count == 0) return "must allow at least 1";
  if (rule.count > count_max) return "may allow at most 4294967295 in its period: a shorter period with fewer is the same rate";
  if (rule.kind == Kind::concurrent) return std::nullopt;
  if (rule.period < period_min) return "needs a period of at least 1ms";
  if (rule.period > period_max) return "may have a period of at most 30 days";
  if (rule.kind == Kind::token_bucket || rule.kind == Kind::bandwidth) {
    if (rule.burst == 0) return "needs a burst of at least 1";
    if (rule.burst > count_max) return "may have a burst of at most 4294967295";
    const auto fill_ns = static_cast<unsigned __int128>(rule.burst) * static_cast<std::uint64_t>(rule.period.count()) / rule.count;
    if (fill_ns > static_cast<std::uint64_t>(fill_max.count())) return "has a burst that takes more than a year to come back";
  }
  if (rule.kind == Kind::sliding_window && sliding_window::repeats_after(rule) < sliding_window::repeats_after_min) {
    return "cannot slide over so many in so short a period: a token_bucket can";
  }
  return std::nullopt;
}

std::string meaning_of_states(const Rule& rule) {
  // What a bandwidth owes has no bound by which another rate could tell what is left of it.
  const bool of_its_rate = rule.kind == Kind::sliding_window || rule.kind == Kind::bandwidth;
  if (!of_its_rate) return std::string(name(rule.kind));
  return fmt::format("{} {}/{}", name(rule.kind), rule.count, rule.period.count());
}

}  // namespace steelyard::limit
