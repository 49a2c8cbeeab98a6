// The token by which a guard knows that its gateway has sent a request to its server: in the way there that a client is told, or with the
// request itself, where the gateway carries it.
#include <algorithm>
#include <cstring>

#include "decide/token/target.hpp"
#include "decide/token/token.hpp"
#include "proxy/http_proxy.hpp"

namespace steelyard {
namespace {

std::optional<Network> bound_client(const ClientBinding& binding, const IpAddress& client) {
  const unsigned whole = client.is_v6() ? 128 : 32;
  switch (binding.kind) {
    case ClientBinding::Kind::exact: return Network::around(client, whole);
    case ClientBinding::Kind::prefix: return Network::around(client, client.is_v6() ? client_prefix_v6 : binding.prefix_v4);
    case ClientBinding::Kind::none: break;
  }
  return std::nullopt;
}

// What is carried is on its way already, and a guard remembers a token for as long as it is valid.
constexpr Duration carried_lifetime_max = 10s;

}  // namespace

// The request may have waited since its route was found, and guards may have taken leave of the keys of that time.
std::shared_ptr<const token::KeySet> HttpProxy::newest_keys(const Trip& trip) const {
  const Site& site = views_.newest();
  if (&site == &trip.site()) return site.shared_keys_of(*trip.route);
  const auto same = std::ranges::find(site.routes, trip.route->name, &Site::Route::name);
  const auto newer = same == site.routes.end() ? nullptr : site.shared_keys_of(*same);
  return newer != nullptr && newer->signer() != nullptr ? newer : trip.site().shared_keys_of(*trip.route);
}

// "": it cannot be signed. Whom a guard sees with a carried request is the gateway, at an address that this one need not know.
std::string HttpProxy::new_token(const Trip& trip, const TokenTarget& wanted, Sent sent) {
  const std::shared_ptr<const token::KeySet> keys = newest_keys(trip);
  if (keys == nullptr) return {};
  const RedirectOptions& options = trip.route->heads->redirect;
  const bool carried = sent == Sent::carried;
  token::Claims claims{.server = trip.server().id,
                       .method = std::string(trip.exchange.method_text),
                       .target_hash = token::hash_of(options.bind_query ? wanted.text : token::path_of(wanted.text)),
                       .client = carried ? std::nullopt : bound_client(options.client, trip.exchange.client.ip),
                       .issued_s = scheduler_.unix_us() / 1'000'000,
                       .hops = wanted.hops,
                       .carried = carried};
  const Duration lifetime = carried ? std::min(options.lifetime, carried_lifetime_max) : options.lifetime;
  claims.expires_s = claims.issued_s + ceil<std::chrono::seconds>(lifetime).count();
  for (std::size_t i = 0; i < claims.id.size(); i += sizeof(std::uint64_t)) {
    const std::uint64_t bits = prng_.next();
    std::memcpy(claims.id.data() + i, &bits, sizeof bits);
  }
  return token::mint(*keys, claims);
}

// Whether what the route carries needs a token, because its servers have guards.
bool HttpProxy::is_signed(const Trip& trip) {
  return trip.route->mode == RouteMode::automatic && !trip.route->heads->redirect.keys.empty();
}

// What each try will sign: it is for one server, and good once.
std::optional<Answer> HttpProxy::prepare_token(Trip& trip) {
  const http::RequestHead& head = trip.exchange.head();
  if (head.form == http::TargetForm::asterisk) {
    return Answer{400, "a request about the server as a whole has no path that could be signed for the server's guard"};
  }
  // The path in its normal form: as it goes out.
  auto target = read_token_target(target_of(trip.path.empty() ? head.path : trip.path.view(), head.has_query, head.query),
                                  trip.route->heads->redirect);
  if (!target) return target.error();
  trip.carried = std::make_unique<TokenTarget>(std::move(*target));
  return std::nullopt;
}

// Nothing where it cannot be signed.
std::optional<HttpProxy::OwnToken> HttpProxy::sign(const Trip& trip) {
  const RedirectOptions& options = trip.route->heads->redirect;
  const std::string token = new_token(trip, *trip.carried, Sent::carried);
  if (token.empty()) return std::nullopt;
  const bool in_cookie = options.token_in == TokenPlace::cookie;
  const std::string target = in_cookie ? trip.carried->text : token::with_parameter(trip.carried->text, options.token_name, token);
  const std::size_t query = target.find('?');
  return OwnToken{.query = query == std::string::npos ? "" : target.substr(query),
                  .cookie = in_cookie ? options.token_name + "=" + token : ""};
}

}  // namespace steelyard
