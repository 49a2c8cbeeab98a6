#include "admin/access.hpp"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>

#include "base/ascii.hpp"
#include "base/assert.hpp"
#include "net/address.hpp"

namespace steelyard::admin {
namespace {

// The host of host:port, without brackets and without a final dot.
std::string_view host_of(std::string_view authority) {
  if (authority.starts_with('[')) return authority.substr(1, authority.find(']') - 1);
  std::string_view host = authority.substr(0, authority.find(':'));
  if (host.ends_with('.')) host.remove_suffix(1);
  return host;
}

// The token of `Bearer TOKEN` (RFC 6750 §2.1), or nothing.
std::optional<std::string_view> bearer_token(std::string_view authorization) {
  const std::size_t space = authorization.find(' ');
  if (space == std::string_view::npos || !equals_ignoring_case(authorization.substr(0, space), "bearer")) return std::nullopt;
  return trim(authorization.substr(space));
}

}  // namespace

TokenDigest digest_of(std::string_view token) {
  TokenDigest digest{};
  SY_ASSERT(EVP_Digest(token.data(), token.size(), digest.data(), nullptr, EVP_sha256(), nullptr) == 1);
  return digest;
}

std::string_view owner_name(const Caller& caller) { return caller.role == Caller::Role::registrar ? "registration" : "operator"; }

Access::Access(Reach reach, std::vector<std::string> hosts, std::vector<Token> tokens)
    : reach_(reach), hosts_(std::move(hosts)), tokens_(std::move(tokens)) {
  open_ = reach_ != Reach::network && std::ranges::none_of(tokens_, [](const Token& token) { return token.pool.empty(); });
}

bool Access::is_own_host(std::string_view authority) const {
  const std::string_view host = host_of(authority);
  // A name can be pointed anywhere by whoever owns it; an address cannot.
  return IpAddress::parse(host) || equals_ignoring_case(host, "localhost") ||
         std::ranges::any_of(hosts_, [&](const std::string& own) { return equals_ignoring_case(host, host_of(own)); });
}

std::optional<Denied> Access::judge(const Asked& asked) const {
  if (reach_ != Reach::unix_socket && !is_own_host(asked.authority)) {
    return Denied{
        421, "wrong_host",
        fmt::format("the admin API is not known by the name \"{}\": ask by address or as localhost, or add the name to admin.hosts",
                    host_of(asked.authority))};
  }
  if (asked.origin && !equals_ignoring_case(*asked.origin, fmt::format("http://{}", asked.authority))) {
    return Denied{403, "foreign_origin", "a page of another site sent this request; the admin API answers its own pages alone"};
  }
  // Browsers alone send this field, and pages cannot change it (W3C Fetch Metadata §2.3). `none` is what a person typed.
  if (asked.fetch_site && *asked.fetch_site != "same-origin" && *asked.fetch_site != "none") {
    return Denied{403, "foreign_origin", "a page of another site had this request sent; the admin API answers its own pages alone"};
  }
  return std::nullopt;
}

std::expected<Caller, Denied> Access::identify(const Asked& asked) const {
  if (!asked.authorization) {
    if (open_) return Caller{};
    return std::unexpected(Denied{401, "token_missing", "the admin API needs a token: send it as \"Authorization: Bearer TOKEN\""});
  }
  const auto token = bearer_token(*asked.authorization);
  const TokenDigest digest = digest_of(token.value_or(""));
  const Token* found = nullptr;
  // All of them, so that the time does not say which was right.
  for (const Token& known : tokens_) {
    if (CRYPTO_memcmp(known.digest.data(), digest.data(), digest.size()) == 0) found = &known;
  }
  if (!token || found == nullptr) {
    return std::unexpected(Denied{401, "token_wrong", "the token is not known: check the file that it was taken from"});
  }
  if (found->pool.empty()) return Caller{};
  return Caller{Caller::Role::registrar, found->pool};
}

}  // namespace steelyard::admin
