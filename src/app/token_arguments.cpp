#include "app/token_arguments.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/error.hpp"
#include "base/time.hpp"
#include "config/reading.hpp"
#include "config/spelling.hpp"
#include "decide/token/base64url.hpp"
#include "decide/token/target.hpp"
#include "wire/http/characters.hpp"

namespace steelyard {
namespace {

using config::quote;

bool visible(char c) { return c > ' ' && c < 0x7f; }

std::expected<void, std::string> check_server(const std::string& server) {
  if (!server.empty() && std::ranges::all_of(server, visible)) return {};
  return wrong(fmt::format("--server {}: give the server's id, which has visible ASCII characters only", quote(server)));
}

std::expected<void, std::string> check_method(const std::string& method) {
  if (!http::is_token(method)) return wrong(fmt::format("--method {}: it is not a method such as GET", quote(method)));
  const bool lower = std::ranges::any_of(method, [](char c) { return c >= 'a' && c <= 'z'; });
  if (lower) return wrong(fmt::format("--method {}: methods are compared letter by letter, write it in capitals", quote(method)));
  return {};
}

std::expected<void, std::string> check_target(const std::string& target) {
  if (target.find("://") < target.find('/')) {
    return wrong(fmt::format("--target {}: give path and query only, such as /files/a.bin?part=2", quote(target)));
  }
  if (!target.starts_with('/')) return wrong(fmt::format("--target {}: it must begin with \"/\"", quote(target)));
  if (target.contains('#')) return wrong(fmt::format("--target {}: what follows \"#\" is never sent to a server", quote(target)));
  if (!std::ranges::all_of(target, visible)) {
    return wrong(fmt::format("--target {}: write it percent-encoded, as it is in the request line", quote(target)));
  }
  return {};
}

std::expected<void, std::string> check_request(const TokenArguments& arguments) {
  if (const auto checked = check_server(arguments.server); !checked) return checked;
  if (const auto checked = check_method(arguments.method); !checked) return checked;
  return check_target(arguments.target);
}

std::expected<std::int64_t, std::string> read_seconds(std::string_view option, const std::string& text) {
  const auto duration = config::parse_duration(text);
  if (!duration) return wrong(fmt::format("{} {}: {}", option, quote(text), duration.error()));
  if (*duration % 1s != Duration{0}) return wrong(fmt::format("{} {}: tokens know whole seconds only", option, quote(text)));
  return *duration / 1s;
}

}  // namespace

std::expected<token::Claims, std::string> read_claims(const TokenArguments& arguments, std::int64_t now_s, const token::Id& id) {
  if (const auto checked = check_request(arguments); !checked) return wrong(checked.error());
  if (const auto carried = token::take_parameter(arguments.target, arguments.parameter); !carried || carried->value) {
    return wrong(fmt::format("--target {}: it has the parameter {} already, which no guard leaves in a target: give the target without it",
                             quote(arguments.target), arguments.parameter));
  }
  token::Claims claims{.server = arguments.server,
                       .method = arguments.method,
                       .target_hash = token::hash_of(arguments.target),
                       .issued_s = arguments.now_s.value_or(now_s),
                       .id = id,
                       .hops = arguments.hops,
                       .carried = arguments.carried};
  if (!arguments.client.empty()) {
    claims.client = Network::parse(arguments.client);
    if (!claims.client) {
      return wrong(
          fmt::format("--client {}: give an address such as 192.0.2.7, or a network such as 192.0.2.0/24, whose bits behind the "
                      "prefix are 0",
                      quote(arguments.client)));
    }
  }
  const auto lifetime_s = read_seconds("--lifetime", arguments.lifetime);
  if (!lifetime_s) return wrong(lifetime_s.error());
  if (*lifetime_s < 1) return wrong(fmt::format("--lifetime {}: it would have expired at once", quote(arguments.lifetime)));
  claims.expires_s = claims.issued_s + *lifetime_s;
  if (claims.expires_s > token::time_max_s) return wrong("--lifetime: it would expire later than a token can say");
  if (!arguments.id.empty()) {
    const auto bytes = token::decode_base64url(arguments.id);
    if (!bytes || bytes->size() != claims.id.size()) {
      return wrong(fmt::format("--id {}: give {} random bytes in base64url, or leave it out", quote(arguments.id), claims.id.size()));
    }
    std::memcpy(claims.id.data(), bytes->data(), claims.id.size());
  }
  return claims;
}

std::expected<token::Expectation, std::string> read_expectation(const TokenArguments& arguments, std::int64_t now_s) {
  if (const auto checked = check_request(arguments); !checked) return wrong(checked.error());
  token::Expectation expected{.server = arguments.server,
                              .method = arguments.method,
                              .target = arguments.target,
                              .client = {},
                              .now_s = arguments.now_s.value_or(now_s),
                              .skew_s = 0};
  if (!arguments.client.empty()) {
    const auto client = IpAddress::parse(arguments.client);
    if (!client) return wrong(fmt::format("--client {}: give the client's address, such as 192.0.2.7", quote(arguments.client)));
    expected.client = *client;
  }
  const auto skew_s = read_seconds("--skew", arguments.skew);
  if (!skew_s) return wrong(skew_s.error());
  expected.skew_s = *skew_s;
  return expected;
}

}  // namespace steelyard
