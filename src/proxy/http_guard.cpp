// The guard's side of signed redirects: a request goes on to the application where its token allows just this request, and the token
// does not go on. Who has no token is sent back to the gateway, which knows where the request belongs.
#include <algorithm>

#include "base/ascii.hpp"
#include "decide/token/target.hpp"
#include "decide/token/token.hpp"
#include "proxy/http_proxy.hpp"
#include "proxy/redirect_target.hpp"
#include "wire/http/cookie.hpp"

namespace steelyard {
namespace {

// Asked by another server that has the application, such as nginx by auth_request, with the request that it was asked.
constexpr std::string_view verify_path = "/__verify__";
constexpr std::string_view original_target = "X-Original-URI";
constexpr std::string_view original_method = "X-Original-Method";
constexpr std::string_view original_client = "X-Original-Client";

// Nothing where there is none, or more than one.
std::optional<std::string_view> sole_field(const http::RequestHead& head, std::string_view name) {
  std::optional<std::string_view> value;
  for (const http::Field& field : head.fields.all()) {
    if (!equals_ignoring_case(field.name, name)) continue;
    if (value) return std::nullopt;
    value = field.value;
  }
  return value;
}

// What a browser asks about before it follows with more than a simple request, at the URL of that request (Fetch §4.8): such a preflight
// has the request's token, and leaves it good for the request.
std::optional<std::string_view> preflighted_method(const http::RequestHead& head) {
  if (head.method_text != "OPTIONS" || !sole_field(head, "Origin")) return std::nullopt;
  return sole_field(head, "Access-Control-Request-Method");
}

// What a browser's cookie may be wrong in by itself: it goes along with whatever else is asked of this host.
bool is_left_behind(token::Reason reason) {
  return reason == token::Reason::expired || reason == token::Reason::wrong_server || reason == token::Reason::wrong_method ||
         reason == token::Reason::wrong_target;
}

// The token in a cookie. Of two the second is another's, or a trap: then it is none that can be right.
std::optional<std::string_view> token_cookie(const http::RequestHead& head, std::string_view name) {
  std::size_t count = 0;
  for (const http::Field& field : head.fields.all()) {
    if (field.id != http::FieldName::cookie) continue;
    for (std::string_view rest = field.value; !rest.empty();) {
      const std::size_t end = std::min(rest.find(';'), rest.size());
      const std::string_view pair = rest.substr(0, end);
      if (trim(pair.substr(0, pair.find('='))) == name) ++count;
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }
  return count > 1 ? std::string_view() : http::find_cookie(head.fields, name);
}

}  // namespace

// What the request's token says of it.
HttpProxy::Admission HttpProxy::examine(const Trip& trip, const Asked& asked) {
  const GuardOptions& options = *trip.route->heads->guard;
  const auto denied = [](const char* reason) { return Admission{.verdict = Admission::Verdict::denied, .reason = reason}; };
  std::string bound = asked.target;
  std::optional<std::string> shown;
  if (asked.token) shown = *asked.token;
  if (options.token_in == TokenPlace::query) {
    auto carried = token::take_parameter(asked.target, options.token_name);
    if (!carried) return denied(carried.error().sentence);
    if (carried->value) {
      shown = *carried->value;
      bound = std::move(carried->target);
    }
  }
  // The gateway has carried the hops on, and signed them.
  auto hops = token::take_parameter(bound, hops_name);
  if (!hops) return denied(hops.error().sentence);
  Admission admission{.target = hops->value ? std::move(hops->target) : bound};
  if (hops->value) admission.hops = parse_unsigned<unsigned>(*hops->value).value_or(options.hops_max);
  if (!shown) return admission;

  const std::int64_t now_s = scheduler_.unix_us() / 1'000'000;
  const std::int64_t skew_s = options.skew / 1s;
  token::Expectation expected{
      .server = options.server,
      .method = asked.method,
      .target = options.bind_query ? std::string_view(bound) : token::path_of(bound),
      .client = asked.client,
      .now_s = now_s,
      .skew_s = skew_s,
  };
  const token::KeySet& keys = *trip.site().keys_of(*trip.route);
  auto claims = token::verify(keys, *shown, expected);
  if (!claims && claims.error().reason == token::Reason::wrong_method && asked.preflighted) {
    expected.method = *asked.preflighted;
    claims = token::verify(keys, *shown, expected);
    admission.preflight = claims.has_value();
  }
  if (!claims && options.token_in == TokenPlace::cookie && is_left_behind(claims.error().reason)) {
    admission.reason = claims.error().sentence;
    return admission;
  }
  if (!claims) return denied(claims.error().sentence);
  if (options.one_time && !admission.preflight) {
    const UsedTokens::Use use = trip.site().used_tokens->use(claims->id, claims->expires_s, skew_s, now_s);
    constexpr const char* used = "the token has been used before, and each is good for one request";
    if (use == UsedTokens::Use::again && options.token_in == TokenPlace::cookie) {
      admission.reason = used;
      return admission;
    }
    if (use == UsedTokens::Use::again) return denied(used);
    if (use == UsedTokens::Use::full) {
      metrics_.hit(Limit::used_tokens);
      return denied("too many tokens are in use to tell whether this one has been used before");
    }
  }
  admission.verdict = Admission::Verdict::admitted;
  admission.carried = claims->carried;
  return admission;
}

std::optional<std::string> HttpProxy::target_without_token(const Trip& trip) {
  const RouteOptions& route = *trip.route->heads;
  const bool in_query = trip.route->guarded ? route.guard->token_in == TokenPlace::query
                                            : !route.redirect.keys.empty() && route.redirect.token_in == TokenPlace::query;
  if (!in_query) return std::nullopt;
  auto carried = token::take_parameter(trip.exchange.target, trip.route->guarded ? route.guard->token_name : route.redirect.token_name);
  if (!carried) return std::string(token::path_of(trip.exchange.target));
  return carried->value ? std::optional(std::move(carried->target)) : std::nullopt;
}

// Whether the request goes on; where not, it has been answered.
Task<bool> HttpProxy::pass_guard(Trip& trip) {
  if (trip.exchange.path == verify_path) {
    co_await verify(trip);
    co_return false;
  }
  const GuardOptions& options = *trip.route->heads->guard;
  const http::RequestHead& head = trip.exchange.head();
  Asked asked{.target = target_of(head.path, head.has_query, head.query),
              .method = head.method_text,
              .token = {},
              .client = trip.exchange.client.ip,
              .preflighted = preflighted_method(head)};
  if (options.token_in == TokenPlace::cookie) asked.token = token_cookie(head, options.token_name);
  const Admission admission = examine(trip, asked);
  if (admission.verdict == Admission::Verdict::admitted) {
    if (!admission.preflight) count_arrival(trip, admission);
    trip.by_gateway = admission.carried;
    const std::size_t query = admission.target.find('?');
    if (admission.target != asked.target) {
      trip.query = std::make_unique<std::string>(query == std::string::npos ? "" : admission.target.substr(query));
    }
    co_return true;
  }
  if (admission.verdict == Admission::Verdict::denied) {
    metrics_.guard_denied.add();
    co_await answer(trip, {403, admission.reason});
    co_return false;
  }
  metrics_.guard_absent.add();
  if (options.gateway.empty()) {
    co_await answer(trip, {403, admission.reason});
  } else if (!head.upgrade.empty() || head.form == http::TargetForm::asterisk) {
    co_await answer(trip, {403, "there is no token, and this request cannot be sent back to the gateway for one"});
  } else if (admission.hops >= options.hops_max) {
    co_await answer(trip, {508, "the request goes in a circle: the gateway has sent it here without a token too often"});
  } else {
    co_await send_back(trip, admission);
  }
  co_return false;
}

// A client that was sent here is work that the gateway does not see. What it carries itself it counts itself.
void HttpProxy::count_arrival(Trip& trip, const Admission& admission) {
  if (admission.carried) return metrics_.guard_carried.add();
  metrics_.guard_admitted.add();
  metrics_.guard_active.add();
  trip.arrived = true;
}

// Whether another request may go on: 204, 403 with the reason, or 401 where it has no token.
Task<void> HttpProxy::verify(Trip& trip) {
  const GuardOptions& options = *trip.route->heads->guard;
  const http::RequestHead& head = trip.exchange.head();
  const auto target = sole_field(head, original_target);
  const auto method = sole_field(head, original_method);
  const auto client = sole_field(head, original_client);
  const bool names_client =
      std::ranges::any_of(head.fields.all(), [](const http::Field& field) { return equals_ignoring_case(field.name, original_client); });
  const auto ip = client ? IpAddress::parse(*client) : names_client ? std::nullopt : std::optional(trip.exchange.client.ip);
  if (!target || !method || !ip) {
    co_await answer(
        trip, {400, "say by X-Original-URI and X-Original-Method what is to be verified, and by X-Original-Client for which address"});
    co_return;
  }
  Asked asked{.target = std::string(*target), .method = *method, .token = {}, .client = *ip};
  if (options.token_in == TokenPlace::cookie) asked.token = token_cookie(head, options.token_name);
  const Admission admission = examine(trip, asked);
  if (admission.verdict == Admission::Verdict::admitted) {
    (admission.carried ? metrics_.guard_carried : metrics_.guard_admitted).add();
    HeadBuilder out(scratch_.head());
    out.text("HTTP/1.1 204 No Content\r\n").field("Cache-Control", "no-store").field("Date", date());
    if (!trip.exchange.body.done() || trip.exchange.draining) trip.exchange.keep_alive = false;
    if (!trip.exchange.keep_alive) out.field("Connection", "close");
    out.end();
    trip.status = 204;
    co_await send_answer(trip, out.view());
  } else if (admission.verdict == Admission::Verdict::denied) {
    metrics_.guard_denied.add();
    co_await answer(trip, {403, admission.reason});
  } else {
    metrics_.guard_absent.add();
    co_await answer(trip, {401, "there is no token: ask the gateway, which gives one"});
  }
}

// To the gateway, with path and query as they came and one hop more.
Task<void> HttpProxy::send_back(Trip& trip, const Admission& admission) {
  Exchange& exchange = trip.exchange;
  if (!exchange.body.done() || exchange.draining) exchange.keep_alive = false;
  const std::string target = token::with_parameter(admission.target, hops_name, std::to_string(admission.hops + 1));
  HeadBuilder out(scratch_.head());
  out.text("HTTP/1.1 307 Temporary Redirect\r\nLocation: ").text(trip.route->heads->guard->gateway).text(target).text("\r\n");
  out.field("Cache-Control", "no-store").field("Date", date()).field("X-Request-Id", trip.request_id).text("Content-Length: 0\r\n");
  if (!exchange.keep_alive) {
    out.field("Connection", "close");
  } else if (exchange.version_minor == 0) {
    out.field("Connection", "keep-alive");
  }
  out.end();
  trip.status = 307;
  trip.outcome = Outcome::redirected;
  trip.failure = "there is no token: sent back to the gateway";
  co_await send_answer(trip, out.view());
}

}  // namespace steelyard
