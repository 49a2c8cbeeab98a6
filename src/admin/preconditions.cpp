#include "admin/preconditions.hpp"

#include <fmt/format.h>

#include "base/ascii.hpp"

namespace steelyard::admin {
namespace {

enum class Comparison : std::uint8_t { strong, weak };
enum class Listed : std::uint8_t { yes, no, malformed };

// Whether `tag` is one of a list of entity tags; what the quotes hold has no comma, since our own tags have none.
Listed is_listed(std::string_view list, std::string_view tag, Comparison comparison) {
  Listed found = Listed::no;
  while (true) {
    const std::size_t comma = std::min(list.find(','), list.size());
    std::string_view one = trim(list.substr(0, comma));
    const bool weak = one.starts_with("W/");
    if (weak) one.remove_prefix(2);
    const bool quoted = one.size() >= 2 && one.front() == '"' && one.back() == '"';
    if (!quoted || one.substr(1, one.size() - 2).find('"') != std::string_view::npos) return Listed::malformed;
    if (one == tag && (!weak || comparison == Comparison::weak)) found = Listed::yes;
    if (comma == list.size()) return found;
    list.remove_prefix(comma + 1);
  }
}

Answer malformed(std::string_view field) {
  return answer_problem(
      400, "invalid_precondition",
      fmt::format("{} is neither * nor a list of entity tags: send the ETag that came with the server, in its quotes", field), field);
}

Answer failed(std::string message) { return answer_problem(412, "changed_since", message); }

}  // namespace

std::string tag_of(std::uint64_t revision) { return fmt::format("\"{}\"", revision); }

std::expected<Precondition, Answer> judge_change(const Conditions& conditions, std::optional<std::uint64_t> current) {
  Precondition precondition;
  if (conditions.if_match) {
    const auto listed =
        *conditions.if_match == "*" ? Listed::yes : is_listed(*conditions.if_match, tag_of(current.value_or(0)), Comparison::strong);
    if (listed == Listed::malformed) return std::unexpected(malformed("If-Match"));
    if (!current) return std::unexpected(failed("there is no such server, and If-Match asks for one that is there"));
    if (listed == Listed::no) {
      return std::unexpected(
          failed(fmt::format("the server has changed meanwhile: its revision is {} now; read it again and decide anew", *current)));
    }
    precondition.revision = current;
  }
  if (!conditions.if_none_match) return precondition;
  if (*conditions.if_none_match == "*") {
    if (current) return std::unexpected(failed("the server is there already, and If-None-Match: * asks that it be new"));
    precondition.absent = true;
    return precondition;
  }
  const Listed listed = is_listed(*conditions.if_none_match, tag_of(current.value_or(0)), Comparison::weak);
  if (listed == Listed::malformed) return std::unexpected(malformed("If-None-Match"));
  if (listed == Listed::yes && current) return std::unexpected(failed("the server has the revision that If-None-Match excludes"));
  return precondition;
}

std::expected<bool, Answer> is_known(const Conditions& conditions, std::uint64_t current) {
  if (!conditions.if_none_match) return false;
  if (*conditions.if_none_match == "*") return true;
  const Listed listed = is_listed(*conditions.if_none_match, tag_of(current), Comparison::weak);
  if (listed == Listed::malformed) return std::unexpected(malformed("If-None-Match"));
  return listed == Listed::yes;
}

}  // namespace steelyard::admin
