// The guard's side of signed redirects: a request is let through where its token allows just this, and the token does not go on. One
// without a token is sent back to the gateway, which knows where it belongs.
#include <algorithm>
#include <cstring>

#include "base/ascii.hpp"
#include "decide/token/target.hpp"
#include "decide/token/token.hpp"
#include "proxy/http_proxy.hpp"
#include "wire/http/cookie.hpp"

namespace steelyard {
namespace {

constexpr std::string_view verify_path = "/__verify__";
// What a server in front of the guard says that it was asked for, and by what method and whom.
constexpr std::string_view asked_target = "X-Original-URI";
constexpr std::string_view asked_method = "X-Original-Method";
constexpr std::string_view asked_client = "X-Original-Client";

std::string target_of(const http::RequestHead& head) {
  std::string target(head.path);
  if (head.has_query) target.append("?").append(head.query);
  return target;
}

std::optional<std::string_view> sole_field(const http::RequestHead& head, std::string_view name, bool& repeated) {
  std::optional<std::string_view> value;
  for (const http::Field& field : head.fields.all()) {
    if (!equals_ignoring_case(field.name, name)) continue;
    repeated = repeated || value.has_value();
    value = field.value;
  }
  return value;
}

}  // namespace

bool HttpProxy::is_verification(const Trip& trip) {
  return trip.route->guarded && trip.exchange.path == verify_path;
}

// What the token says of this request, and what is left of its target when token and hops have been taken out.
HttpProxy::Admission HttpProxy::examine(const Trip& trip, const Asked& asked) {
  const GuardOptions& options = *trip.route->heads->guard;
  Admission admission;
  auto hops = token::take_parameter(asked.target, hops_name);
  if (!hops) return deny(std::move(admission), hops.error());
  admission.target = hops->value ? std::move(hops->target) : std::string(asked.target);
  if (hops->value) admission.hops = parse_unsigned<unsigned>(*hops->value).value_or(options.hops_max + 1);

  std::optional<std::string_view> shown = asked.cookie;
  token::Carried carried;
  if (options.token_in == TokenPlace::query) {
    auto taken = token::take_parameter(admission.target, options.token_name);
    if (!taken) return deny(std::move(admission), taken.error());
    // The value lies in the text that is about to be replaced.
    admission.token = taken->value.value_or("");
    shown.reset();
    if (taken->value) shown = admission.token;
    if (taken->value) admission.target = std::move(taken->target);
  }
  if (!shown) return admission;
  admission.verdict = Admission::Verdict::denied;
  const std::string_view bound = options.bind_query ? std::string_view(admission.target) : token::path_of(admission.target);
  const std::int64_t now_s = scheduler_.unix_us() / 1'000'000;
  const std::int64_t skew_s = options.skew / 1s;
  const auto claims = token::verify(
      *trip.site().keys_of(*trip.route), *shown,
      {.server = options.server, .method = asked.method, .target = bound, .client = asked.client, .now_s = now_s, .skew_s = skew_s});
  if (!claims) return deny(std::move(admission), claims.error());
  if (options.one_time) {
    switch (trip.site().used_tokens->use(claims->id, claims->expires_s + skew_s, now_s)) {
      case UsedTokens::Use::first: break;
      case UsedTokens::Use::again:
        admission.reason = "the token has been used before: each is good for one request";
        admission.word = "replayed";
        return admission;
      case UsedTokens::Use::full:
        metrics_.hit(Limit::used_tokens);
        admission.reason = "too many tokens are in use to tell whether this one was used before";
        admission.word = "full";
        return admission;
    }
  }
  admission.verdict = Admission::Verdict::admitted;
  return admission;
}

HttpProxy::Admission HttpProxy::deny(Admission admission, const token::Denied& denied) {
  admission.verdict = Admission::Verdict::denied;
  admission.reason = denied.sentence;
  admission.word = token::name_of(denied.reason);
  return admission;
}

// Whether the request goes on to the application; where not, it has been answered.
Task<bool> HttpProxy::pass_guard(Trip& trip) {
  const GuardOptions& options = *trip.route->heads->guard;
  const http::RequestHead& head = trip.exchange.head();
  Asked asked{.target = target_of(head), .method = head.method_text, .client = trip.exchange.client.ip};
  if (options.token_in == TokenPlace::cookie) asked.cookie = http::find_cookie(head.fields, options.token_name);
  Admission admission = examine(trip, asked);
  switch (admission.verdict) {
    case Admission::Verdict::admitted:
      metrics_.guard_admitted.add();
      trip.guarded = std::make_unique<Guarded>(Guarded{std::move(admission.target)});
      co_return true;
    case Admission::Verdict::denied:
      metrics_.guard_denied.add();
      co_await answer(trip, {403, admission.reason});
      co_return false;
    case Admission::Verdict::absent: break;
  }
  metrics_.guard_absent.add();
  if (options.gateway.empty()) {
    co_await answer(trip, {403, "there is no token: ask the gateway, which gives one"});
  } else if (!head.upgrade.empty()) {
    co_await answer(trip, {403, "there is no token, and a connection that changes its protocol cannot be sent back to the gateway"});
  } else if (admission.hops >= options.hops_max) {
    co_await answer(trip, {508, "the request goes in a circle: the gateway has sent it here without a token too often"});
  } else {
    co_await send_back(trip, admission);
  }
  co_return false;
}

// To the gateway, with path and query as they came and one hop more.
Task<void> HttpProxy::send_back(Trip& trip, const Admission& admission) {
  Exchange& exchange = trip.exchange;
  const std::string hops = std::to_string(admission.hops + 1);
  const std::string location = trip.route->heads->guard->gateway + token::with_parameter(admission.target, hops_name, hops);
  if (!exchange.body.done() || exchange.draining) exchange.keep_alive = false;
  HeadBuilder out(scratch_.head());
  write_way(out, {.status = 307, .location = location, .exchange = exchange, .request_id = trip.request_id, .date = date()});
  trip.status = 307;
  trip.outcome = Outcome::refused;
  trip.failure = "there is no token: sent back to the gateway";
  exchange.response_started = true;
  auto sent = exchange.response.send(out.view());
  if (sent && !exchange.response.empty()) sent = co_await flush(exchange.response, bounds(trip));
  if (!sent) exchange.broken_off = true;
}

}  // namespace steelyard
