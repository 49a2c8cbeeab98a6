// What the gateway and the guard of a signed redirect must read alike in a request, so that what the one signs is what the other checks.
#pragma once

#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "proxy/error_response.hpp"
#include "proxy/options.hpp"
#include "wire/http/message.hpp"

namespace steelyard {

// The parameter of the query that says how often a guard has sent the request back.
inline constexpr std::string_view hops_name = "steelyard_hops";

// Path and query, as tokens are bound to them.
[[nodiscard]] std::string target_of(std::string_view path, bool has_query, std::string_view query);

// What a gateway's token is for.
struct TokenTarget {
  std::string text;   // path and query
  unsigned hops = 0;  // how often a guard has sent the request back
};
// Of a request: its target, as target_of() has it, without a token that this client was given before. Hops are carried on.
[[nodiscard]] std::expected<TokenTarget, Answer> read_token_target(std::string target, const RedirectOptions& options);

}  // namespace steelyard
