#include "decide/route/conditions.hpp"

#include <algorithm>

#include "base/ascii.hpp"

namespace steelyard::route {
namespace {

// One field line of that name and value is enough; names are compared without case, values with it.
bool has_field(const Query& query, const HeaderMatch& wanted) {
  return std::ranges::any_of(query.fields, [&](const http::Field& field) {
    return equals_ignoring_case(field.name, wanted.name) && (wanted.value.empty() || field.value == wanted.value);
  });
}

}  // namespace

bool Conditions::accept(const Query& query) const {
  if (!methods_.empty() && std::ranges::find(methods_, query.method) == methods_.end()) return false;
  return std::ranges::all_of(headers_, [&](const HeaderMatch& wanted) { return has_field(query, wanted); });
}

}  // namespace steelyard::route
