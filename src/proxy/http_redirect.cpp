// A request that is answered with the way to its server: the place is taken as for one that is carried there, and becomes the client's
// own. Path and query go on byte by byte; what stands behind them, or in a cookie, is the token that the server's guard asks for.
#include <algorithm>

#include "base/ascii.hpp"
#include "decide/token/target.hpp"
#include "decide/token/token.hpp"
#include "proxy/http_proxy.hpp"
#include "wire/http/status.hpp"

namespace steelyard {
namespace {

std::unexpected<Answer> refuse(int status, const char* reason) { return std::unexpected(Answer{status, reason}); }

struct Redirection {
  const RedirectOptions& options;
  const HeaderEdits& edits;
  const Exchange& exchange;
  std::string_view server;   // scheme, host and port
  std::string_view target;   // with the token, where that is in the query
  std::string_view token;    // where it is in a cookie
  std::string_view session;  // the value of a Set-Cookie of our own
  std::string_view request_id;
  std::string_view date;
  std::string_view limit_fields;  // complete lines
};

// A cookie reaches the server where that has the host name under which the client knows this proxy (RFC 6265 §5.3).
void write_cookies(HeadBuilder& out, const Redirection& redirection) {
  if (!redirection.session.empty()) out.field("Set-Cookie", redirection.session);
  if (redirection.token.empty()) return;
  const RedirectOptions& options = redirection.options;
  out.text("Set-Cookie: ").text(options.token_name).text("=").text(redirection.token).text("; Path=/; Max-Age=");
  out.number(static_cast<std::uint64_t>(ceil<std::chrono::seconds>(options.lifetime).count()));
  out.text(redirection.server.starts_with("https:") ? "; HttpOnly; SameSite=Lax; Secure\r\n" : "; HttpOnly; SameSite=Lax\r\n");
}

std::string_view write_note(HeadBuilder& note, const Redirection& redirection) {
  const std::uint64_t status = redirection.options.status;
  if (redirection.exchange.wants_json) {
    note.text("{\"status\":").number(status).text(",\"message\":\"the server for this request is at the address in Location\"");
    note.text(",\"request_id\":\"").text(redirection.request_id).text("\"}\n");
  } else {
    note.number(status).text(" ").text(http::reason_phrase(redirection.options.status));
    note.text(": the server for this request is at the address in Location\nrequest id: ").text(redirection.request_id).text("\n");
  }
  return note.view();
}

// Returns the bytes of the body. Nothing that a server would say of its own, such as CORS, is made up here: the route's edits may.
std::size_t write_redirect(HeadBuilder& out, const Redirection& redirection) {
  const Exchange& exchange = redirection.exchange;
  const auto own = [&](std::string_view name, std::string_view value) {
    if (!redirection.edits.replace(name)) out.field(name, value);
  };
  char memory[512];
  HeadBuilder note(memory);
  const std::string_view body = write_note(note, redirection);
  out.text("HTTP/1.1 ").number(redirection.options.status).text(" ").text(http::reason_phrase(redirection.options.status)).text("\r\n");
  out.text("Location: ").text(redirection.server).text(redirection.target).text("\r\n");
  own("Cache-Control", "no-store");
  own("Content-Type", exchange.wants_json ? "application/json" : "text/plain; charset=utf-8");
  out.text("Content-Length: ").number(body.size()).text("\r\n");
  own("Date", redirection.date);
  own("X-Request-Id", redirection.request_id);
  if (!exchange.keep_alive) {
    out.field("Connection", "close");
  } else if (exchange.version_minor == 0) {
    out.field("Connection", "keep-alive");
  }
  write_cookies(out, redirection);
  out.text(redirection.limit_fields);
  for (const HeaderField& field : redirection.edits.set) out.field(field.name, field.value);
  for (const HeaderField& field : redirection.edits.add) out.field(field.name, field.value);
  out.end();
  if (exchange.method == http::Method::head) return 0;
  out.text(body);
  return body.size();
}

}  // namespace

// In mode auto what a redirect would break, or would not be worth it for, is carried.
bool HttpProxy::is_redirected(const Trip& trip) {
  if (trip.route->mode != RouteMode::automatic) return trip.route->mode == RouteMode::redirect;
  const http::RequestHead& head = trip.exchange.head();
  if (!head.upgrade.empty() || head.form == http::TargetForm::asterisk) return false;
  if (head.fields.find(http::FieldName::x_steelyard_no_redirect) != nullptr) return false;
  const AutoRedirectOptions& automatic = trip.route->heads->redirect.automatic;
  if (std::ranges::find(automatic.methods, head.method_text) != automatic.methods.end()) return true;
  return head.body.kind == http::BodyKind::length && head.body.length >= automatic.body_bytes_min;
}

Task<Result<void>> HttpProxy::redirect(Trip& trip) {
  // The head is there only until something is waited for.
  const auto wanted = read_target(trip);
  if (!wanted) {
    co_await answer(trip, wanted.error());
    co_return Result<void>{};
  }
  Result<void> result = begin_search(trip);
  if (!result && result.error().kind == ErrorKind::overloaded) result = co_await wait_for_place(trip);
  if (!result && result.error().kind == ErrorKind::outdated) result = co_await find_place_by_policy(trip);
  if (!result) co_return result;
  explain_choice(trip);
  // Nobody will hear what this request finds out: the pause is over, and that has to do.
  if (trip.place.choice() == Choice::probe) trip.pool->on_try(trip.server(), {}, true, moment());
  const auto sent = co_await send_redirect(trip, *wanted);
  co_return sent;
}

// Path and query as they were received, without a token that this client was given before, and how often they were sent back.
std::expected<TokenTarget, Answer> HttpProxy::read_target(const Trip& trip) {
  const http::RequestHead& head = trip.exchange.head();
  if (!head.upgrade.empty() && !equals_ignoring_case(head.upgrade, "h2c")) {
    return refuse(400,
                  "this route answers with the way to the server, and a connection that changes its protocol cannot follow: ask the "
                  "server itself");
  }
  if (head.form == http::TargetForm::asterisk) return refuse(400, "a request about the server as a whole cannot be redirected");
  return read_token_target(target_of(head.path, head.has_query, head.query), trip.route->heads->redirect);
}

Task<Result<void>> HttpProxy::send_redirect(Trip& trip, const TokenTarget& wanted) {
  Exchange& exchange = trip.exchange;
  const RedirectOptions& options = trip.route->heads->redirect;
  const bool in_query = options.token_in == TokenPlace::query;
  std::string token;
  if (!options.keys.empty()) {
    token = new_token(trip, wanted, Sent::redirected);
    if (token.empty()) co_return fail(ErrorKind::system);
  }
  if (!exchange.body.done() || exchange.draining) exchange.keep_alive = false;
  const std::string with_token = in_query && !token.empty() ? token::with_parameter(wanted.text, options.token_name, token) : "";
  HeadBuilder out(scratch_.head());
  const std::size_t body_bytes = write_redirect(out, {.options = options,
                                                      .edits = trip.route->heads->response_headers,
                                                      .exchange = exchange,
                                                      .server = trip.server().public_url(),
                                                      .target = with_token.empty() ? wanted.text : with_token,
                                                      .token = in_query ? std::string_view{} : std::string_view(token),
                                                      .session = new_session(trip),
                                                      .request_id = trip.request_id,
                                                      .date = date(),
                                                      .limit_fields = limit_fields(trip)});
  if (out.overflowed()) co_return fail(ErrorKind::system);
  trip.status = options.status;
  trip.outcome = Outcome::redirected;
  trip.response_bytes = body_bytes;
  metrics_.redirects.add();
  // Before the client knows of it, so that nobody can report an arrival that was not counted. The record needs the server, too.
  trip.session = trip.server().shared_from_this();
  trip.place.send_away(options.lifetime);
  exchange.response_started = true;
  if (trip.limits) trip.limits->on_last_bytes();
  auto sent = exchange.response.send(out.view());
  if (sent && !exchange.response.empty()) sent = co_await flush(exchange.response, bounds(trip));
  co_return sent;
}

}  // namespace steelyard
