#include "proxy/redirect_target.hpp"

#include <utility>

#include "base/ascii.hpp"
#include "decide/token/target.hpp"

namespace steelyard {
namespace {

// Guards give up much earlier, unless they are told not to.
constexpr unsigned redirect_hops_max = 16;

std::unexpected<Answer> refuse_target(int status, const char* reason) { return std::unexpected(Answer{status, reason}); }

std::expected<unsigned, Answer> read_hops(std::string_view target) {
  if (target.find(hops_name) == std::string_view::npos) return 0;
  const auto carried = token::take_parameter(target, hops_name);
  if (!carried) return refuse_target(400, carried.error().sentence);
  if (!carried->value) return 0;
  const auto hops = parse_unsigned<unsigned>(*carried->value);
  if (!hops) return refuse_target(400, "the request does not say in a number how often it was sent back (steelyard_hops)");
  if (*hops > redirect_hops_max) return refuse_target(508, "the request goes in a circle: its servers have sent it back too often");
  return *hops;
}

}  // namespace

std::string target_of(std::string_view path, bool has_query, std::string_view query) {
  std::string target;
  target.reserve(path.size() + 1 + query.size());
  target.append(path);
  if (has_query) target.append("?").append(query);
  return target;
}

std::expected<TokenTarget, Answer> read_token_target(std::string target, const RedirectOptions& options) {
  if (!options.keys.empty() && options.token_in == TokenPlace::query) {
    auto taken = token::take_parameter(target, options.token_name);
    if (!taken) return refuse_target(400, taken.error().sentence);
    if (taken->value) target = std::move(taken->target);
  }
  const auto hops = read_hops(target);
  if (!hops) return std::unexpected(hops.error());
  return TokenTarget{std::move(target), *hops};
}

std::optional<std::string_view> sole_field(const http::RequestHead& head, std::string_view name) {
  std::optional<std::string_view> value;
  for (const http::Field& field : head.fields.all()) {
    if (!equals_ignoring_case(field.name, name)) continue;
    if (value) return std::nullopt;
    value = field.value;
  }
  return value;
}

std::optional<std::string_view> preflighted_method(const http::RequestHead& head) {
  if (head.method_text != "OPTIONS" || !sole_field(head, "Origin")) return std::nullopt;
  return sole_field(head, "Access-Control-Request-Method");
}

}  // namespace steelyard
