// What `steelyard token mint` and `verify` are told on their command lines, as values or as a sentence that says which option is wrong.
// Pure: time and chance are the caller's.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>

#include "decide/token/token.hpp"

namespace steelyard {

struct TokenArguments {
  std::string keys{};
  std::string server{};
  std::string method = "GET";
  std::string target{};
  std::string client{};                 // mint: an address or a network; verify: an address; "": none
  std::string lifetime = "30s";         // mint
  std::string skew = "5s";              // verify
  std::optional<std::int64_t> now_s{};  // instead of the clock's
  std::string id{};                     // mint: instead of a random one
  unsigned hops = 0;                    // mint
  bool carried = false;                 // mint
  std::string parameter = "steelyard_token";
  std::string token{};  // verify, inspect; "": that in the target
  bool json = false;
};

// `id` is for tokens whose arguments name none.
std::expected<token::Claims, std::string> read_claims(const TokenArguments& arguments, std::int64_t now_s, const token::Id& id);
// Its texts lie in the arguments; its target is as they say it.
std::expected<token::Expectation, std::string> read_expectation(const TokenArguments& arguments, std::int64_t now_s);

}  // namespace steelyard
