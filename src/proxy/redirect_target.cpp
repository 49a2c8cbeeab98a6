#include "proxy/redirect_target.hpp"

#include <algorithm>
#include <utility>

#include "base/ascii.hpp"
#include "decide/token/target.hpp"

namespace steelyard {
namespace {

// Guards give up much earlier, unless they are told not to.
constexpr unsigned redirect_hops_max = 16;

std::unexpected<Answer> refuse_target(int status, const char* reason) { return std::unexpected(Answer{status, reason}); }

std::expected<unsigned, Answer> read_hops(std::string_view target) {
  // Most have neither it nor what might be another spelling of it.
  const std::string_view query = target.substr(std::min(target.find('?'), target.size()));
  if (query.find(hops_name) == std::string_view::npos && query.find('%') == std::string_view::npos) return 0;
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

}  // namespace steelyard
