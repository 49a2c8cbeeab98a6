// The outline of an exchange, and its phases before and after the server. What happens with a server is in http_try.cpp.
#include "proxy/http_proxy.hpp"

#include <algorithm>
#include <utility>

#include "decide/health/failure.hpp"
#include "observe/message.hpp"
#include "proxy/forwarded.hpp"
#include "wire/http/path.hpp"
#include "wire/http/status.hpp"

namespace steelyard {
namespace {

constexpr bool is_request_id_character(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' || c == '.';
}

// Hexadecimal digits of a random number.
std::string_view new_request_id(std::span<char> memory, Prng& prng) {
  constexpr std::string_view digits = "0123456789abcdef";
  constexpr std::size_t length = 16;
  std::uint64_t bits = prng.next();
  for (char& c : memory.first(length)) {
    c = digits[bits & 0xf];
    bits >>= 4;
  }
  return {memory.data(), length};
}

constexpr std::string_view status_page_prefix = "/__";
constexpr std::string_view status_pages[] = {"/__health__", "/__status__", "/__metrics__"};

bool failed_by(const Result<void>& result, ErrorKind kind) { return !result && result.error().kind == kind; }

bool is_status_page(std::string_view path) {
  return path.starts_with(status_page_prefix) && std::ranges::find(status_pages, path) != std::end(status_pages);
}

}  // namespace

HttpProxy::HttpProxy(SiteViews& views, Connections& connections, Scheduler& scheduler, Scratch& scratch, WorkerMetrics& metrics,
                     AccessChannel* log, std::uint64_t seed)
    : views_(views), connections_(connections), scratch_(scratch), scheduler_(scheduler), metrics_(metrics), log_(log), prng_(seed) {}

// As if the server had broken the connection: what has not been answered may go to another one.
void HttpProxy::cut(const Exchange& exchange, const Server& server) {
  auto* const trip = static_cast<Trip*>(exchange.context);
  if (trip == nullptr || trip->place.server() != &server || !trip->connection) return;
  trip->cut = true;
  trip->connection->stream().break_off();
}

ExchangeView HttpProxy::describe(const Exchange& exchange, Instant now) {
  ExchangeView view{.client = exchange.client,
                    .method = std::string(exchange.method_text),
                    .host = std::string(exchange.authority),
                    .target = std::string(exchange.target),
                    .age = now - exchange.start};
  const auto* const trip = static_cast<const Trip*>(exchange.context);
  if (trip == nullptr) return view;
  view.request_id = trip->request_id;
  if (trip->route != nullptr) view.route = trip->route->name;
  if (trip->pool != nullptr) view.pool = trip->pool->pool().name();
  if (trip->place) view.server = trip->server().id;
  view.tries = trip->tries;
  view.status = trip->status;
  return view;
}

HttpProxy::Trip::Trip(Exchange& of, HttpProxy& proxy) : exchange(of), in_use(proxy.views_) {
  exchange.context = this;
  // A client's own id is kept where it is harmless, so that a trace goes on.
  if (!of.refusal) {
    const http::Field* const field = of.head().fields.find(http::FieldName::x_request_id);
    if (field != nullptr && !field->value.empty() && field->value.size() <= request_id_max &&
        std::ranges::all_of(field->value, is_request_id_character)) {
      request_id = field->value;
    }
  }
  if (request_id.empty()) request_id = new_request_id(request_id_memory, proxy.prng_);
}

HttpProxy::Trip::~Trip() { exchange.context = nullptr; }

Task<void> HttpProxy::serve(Exchange& exchange) {
  Trip trip(exchange, *this);
  metrics_.exchanges_active.add();
  Result<void> result;
  if (exchange.refusal) {
    // Nothing else may look at a request that could not be understood.
    count_refusal(*exchange.refusal);
    co_await answer(trip, {exchange.refusal->status, exchange.refusal->reason, exchange.refusal->status == 503});
  } else if (exchange.status_pages && is_status_page(exchange.path)) {
    // Before routing, so that no route can hide what an operator needs to see.
    co_await answer_status_page(trip);
  } else {
    const std::optional<Answer> refused = route(trip);
    bool goes_on = true;
    // Limits count what finds no route as well, and come before all that costs more than they do.
    if (is_limited(trip)) goes_on = co_await pass_limits(trip);
    if (goes_on && refused) {
      // Before a server is chosen: what will not be forwarded must not count against one.
      co_await answer(trip, *refused);
      goes_on = false;
    }
    if (goes_on && trip.route->guarded) goes_on = co_await pass_guard(trip);
    if (goes_on && is_redirected(trip)) {
      result = co_await redirect(trip);
    } else if (goes_on) {
      result = co_await forward(trip);
    }
    if (!result && !exchange.response_started && result.error().kind != ErrorKind::cancelled) {
      co_await answer(trip, answer_for(trip, result.error()));
    }
  }
  // Every exchange ends in the record, whatever became of it.
  settle(trip, result);
  record(trip);
  if (trip.arrived) metrics_.guard_active.subtract();
  metrics_.exchanges_active.subtract();
}

// Finds the route and applies what it and the listener refuse; nothing when the request may go on to a server.
std::optional<Answer> HttpProxy::route(Trip& trip) {
  Exchange& exchange = trip.exchange;
  const http::RequestHead& head = exchange.head();
  if (head.method == http::Method::connect) return Answer{501, "CONNECT is not offered here"};
  if (head.method == http::Method::trace) return Answer{501, "TRACE is not offered here"};
  if (count_own_hops(head.fields) >= via_hops_max) return Answer{508, "the request goes in a circle: it has passed this proxy too often"};

  std::string_view path = head.path;
  if (head.form != http::TargetForm::asterisk) {
    const auto normal = http::normalize_path(head.path, scratch_.head());
    if (!normal) return Answer{normal.error().status, normal.error().reason};
    if (normal->data() != path.data()) {
      trip.path.append(*normal);
      path = trip.path.view();
    }
  }
  const Site& site = trip.site();
  const auto found = site.router.match({.host = head.authority, .path = path, .method = head.method_text, .fields = head.fields.all()});
  if (!found) return Answer{404, "no route matches this host, path and method"};
  trip.route = &site.routes[*found];
  trip.pool = &trip.in_use.pool(trip.route->pool);
  trip.total_deadline = exchange.start + trip.route->total_timeout;
  const std::uint64_t body_bytes_max = trip.route->body_bytes_max;
  if ((head.body.kind == http::BodyKind::length && head.body.length > body_bytes_max) || exchange.body.payload_bytes() > body_bytes_max) {
    metrics_.hit(Limit::body_bytes);
    return Answer{413, "the request's body is larger than allowed (body_bytes_max)"};
  }
  return std::nullopt;
}

// A place, where that can be had at once. A pool with a policy wants to know first what is demanded.
Result<void> HttpProxy::begin_search(Trip& trip) {
  trip.pool->count_request(scheduler_.now());
  identify(trip);
  if (trip.pool->options().policy) return fail(ErrorKind::outdated);
  return take_place(trip, trip.pick_request(trip.exchange.body.done() && is_repeatable(trip)), PoolView::Turn::none);
}

// Servers one after the other, until one has answered or trying another would not be safe, or too much.
Task<Result<void>> HttpProxy::forward(Trip& trip) {
  if (is_signed(trip)) {
    if (const auto refused = prepare_token(trip)) {
      co_await answer(trip, *refused);
      co_return Result<void>{};
    }
  }
  Freshness freshness = Freshness::reuse;
  Result<void> result = begin_search(trip);
  if (failed_by(result, ErrorKind::overloaded)) result = co_await wait_for_place(trip);
  if (failed_by(result, ErrorKind::outdated)) result = co_await find_place_by_policy(trip);
  while (result) {
    ++trip.tries;
    explain_choice(trip);
    result = co_await try_server(trip, freshness);
    if (result) break;
    if (failed_by(result, ErrorKind::outdated) && trip.tries < tries_max) {
      // Nothing was sent, so this is no retry.
      trip.place.give_up();
      freshness = Freshness::reuse;
      result = co_await find_place_by_policy(trip);
      continue;
    }
    const Error error = result.error();
    if (message_enabled(LogLevel::debug)) {
      log_message(LogLevel::debug, "request {}: try {} at {} failed: {}", trip.request_id, trip.tries, trip.server().id,
                  answer_to(error).reason);
    }
    if (error.retry == Retry::never || trip.exchange.response_started) break;
    if (error.retry == Retry::fresh_connection) {
      // Nobody's fault, and it happens once for each connection that was of use before: not charged to the budget.
      metrics_.retries.add();
      freshness = Freshness::fresh;
      result = {};
      continue;
    }
    const Another another = trip.next ? Another::taken : take_another(trip, {.kind = error.kind, .reached = trip.connected}, MayWait::yes);
    if (another == Another::none) break;
    metrics_.failovers.add();
    if (another == Another::later) {
      trip.place.give_up();  // it might be the one that is waited for
      result = co_await wait_for_place(trip);
      if (failed_by(result, ErrorKind::outdated)) result = co_await find_place_by_policy(trip);
    } else {
      trip.place = std::move(trip.next);
      result = {};
    }
  }
  co_return result;
}

void HttpProxy::count_refusal(const http::ParseError& refusal) {
  switch (refusal.bound) {
    case http::ParseError::Bound::request_line_bytes: return metrics_.hit(Limit::request_line_bytes);
    case http::ParseError::Bound::head_bytes: return metrics_.hit(Limit::head_bytes);
    case http::ParseError::Bound::field_count: return metrics_.hit(Limit::field_count);
    case http::ParseError::Bound::none: return;
  }
}

void HttpProxy::explain_choice(const Trip& trip) const {
  if (!message_enabled(LogLevel::debug)) return;
  log_message(LogLevel::debug, "request {}: {} {}{} takes route {} to pool {}, try {} at server {} ({})", trip.request_id,
              trip.exchange.method_text, trip.exchange.authority, trip.exchange.path, trip.route->name, trip.pool->pool().name(),
              trip.tries, trip.server().id, name(trip.place.choice()));
}

// What became of the exchange, where its try failed.
void HttpProxy::settle(Trip& trip, const Result<void>& result) {
  if (result) return;
  Exchange& exchange = trip.exchange;
  const Error& error = result.error();
  // A client whose body failed and who was told so has its whole answer.
  const bool told = trip.outcome == Outcome::refused;
  const bool by_client = error.kind == ErrorKind::cancelled || (error.side == Side::client && exchange.response_started && !told);
  const bool cut = exchange.fiber.cause() == Cause::shutdown;
  if (by_client) {
    trip.outcome = cut ? Outcome::truncated : Outcome::client_gone;
    exchange.broken_off = true;
  }
  if (trip.cut) {
    trip.failure = "cut: the server was to go, and the deadline for what was under way there has passed";
    return;
  }
  if (trip.failure != nullptr) return;
  trip.failure = cut ? "cut at the end of the drain" : by_client ? "the client went away" : answer_to(error).reason;
}

void HttpProxy::record(const Trip& trip) {
  const Exchange& exchange = trip.exchange;
  AccessRecord record;
  record.status = trip.status;
  record.outcome = trip.outcome;
  record.request_bytes = exchange.body.payload_bytes();
  record.response_bytes = trip.response_bytes;
  record.duration = scheduler_.now() - exchange.start;
  // What operators ask about the proxy would blur what it did for clients.
  if (!trip.status_page) metrics_.record(record);
  if (log_ == nullptr || !log_->enabled()) return;

  record.unix_us = scheduler_.unix_us() - record.duration / 1us;
  record.client = exchange.client.ip;
  record.client_port = exchange.client.port;
  record.method = exchange.method_text;
  record.host = exchange.authority;
  const std::optional<std::string> without_token = trip.route != nullptr ? target_without_token(trip) : std::nullopt;
  record.target = without_token ? std::string_view(*without_token) : exchange.target;
  record.protocol = exchange.version_minor == 0 ? "HTTP/1.0" : "HTTP/1.1";
  if (trip.route != nullptr) record.route = trip.route->name;
  if (trip.status_page) record.route = "status page";
  if (trip.pool != nullptr) {
    record.pool = trip.pool->pool().name();
    record.algorithm = name(trip.pool->options().algorithm);
  }
  if (trip.place) {
    record.server = trip.server().id;
    if (trip.place.choice() != Choice::algorithm) record.choice = name(trip.place.choice());
    if (trip.hedge_won) record.choice = "hedge";
  }
  std::array<FailedTry, tries_max> failed_tries;
  for (std::size_t i = 0; i < trip.failed_count(); ++i) {
    const Failed& why = trip.failed->why[i];
    failed_tries[i] = {trip.failed->servers[i]->id, in_words(why.kind, why.status)};
  }
  record.failed_tries = std::span(failed_tries).first(trip.failed_count());
  record.tries = trip.tries;
  if (trip.limits && trip.limits->refused_by != nullptr) record.limit = trip.limits->refused_by->options.name;
  std::array<PolicyMet, policy_also_max> also;
  if (trip.demanded) record_policy(trip, record, also);
  record.request_id = trip.request_id;
  record.user_agent = exchange.user_agent;
  if (trip.failure != nullptr) record.failure = trip.failure;
  record.queue_time = trip.queue_time;
  record.connect_time = trip.connect_time;
  record.first_byte_time = trip.first_byte_time;
  log_->write(record);
}

Task<void> HttpProxy::answer(Trip& trip, Answer answer) {
  Exchange& exchange = trip.exchange;
  // What is left of the body would be taken for the next request.
  if (!exchange.body.done() || answer.status == 413 || exchange.draining) exchange.keep_alive = false;
  HeadBuilder out(scratch_.head());
  trip.response_bytes = write_answer(out, answer, exchange, trip.request_id, date(), limit_fields(trip));
  trip.status = static_cast<std::uint16_t>(answer.status);
  trip.outcome = Outcome::refused;
  trip.failure = answer.reason;
  co_await send_answer(trip, out.view());
}

Task<void> HttpProxy::answer_status_page(Trip& trip) {
  Exchange& exchange = trip.exchange;
  if (exchange.method != http::Method::get && exchange.method != http::Method::head) {
    co_await answer(trip, {405, "status pages are read with GET"});
    co_return;
  }
  if (!exchange.body.done() || exchange.draining) exchange.keep_alive = false;
  const Site::Page page = trip.site().status_page(exchange.path);
  HeadBuilder head(scratch_.head());
  head.text("HTTP/1.1 ").number(static_cast<std::uint64_t>(page.status)).text(" ").text(http::reason_phrase(page.status)).text("\r\n");
  head.field("Content-Type", "application/json").field("Cache-Control", "no-store").field("Date", date());
  head.text("Content-Length: ").number(page.body.size()).text("\r\n");
  if (!exchange.keep_alive) head.field("Connection", "close");
  head.end();
  trip.status = static_cast<std::uint16_t>(page.status);
  trip.status_page = true;
  if (exchange.method == http::Method::get) trip.response_bytes = page.body.size();
  exchange.response_started = true;
  auto sent = exchange.response.send(head.view());
  if (sent && exchange.method == http::Method::get) sent = exchange.response.send(std::string_view(page.body));
  if (sent && !exchange.response.empty()) sent = co_await flush(exchange.response, bounds(trip));
  if (!sent) exchange.broken_off = true;
}

// What was written here, head and body.
Task<void> HttpProxy::send_answer(Trip& trip, std::string_view bytes) {
  Exchange& exchange = trip.exchange;
  exchange.response_started = true;
  if (trip.limits) trip.limits->on_last_bytes();
  auto sent = exchange.response.send(bytes);
  if (sent && !exchange.response.empty()) sent = co_await flush(exchange.response, bounds(trip));
  if (!sent) exchange.broken_off = true;
}

RelayBounds HttpProxy::bounds(const Trip& trip) const {
  const std::uint64_t body_bytes_max = trip.route != nullptr ? trip.route->body_bytes_max : unlimited;
  return {trip.site().timeouts.body_idle, trip.total_deadline, body_bytes_max};
}

}  // namespace steelyard
