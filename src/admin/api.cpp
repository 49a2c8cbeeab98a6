// The outline of a request: read_request, admit, the body, perform, send. Streams of events are in event_stream.cpp.
#include "admin/api.hpp"

#include <exception>
#include <utility>

#include "base/ascii.hpp"
#include "config/reading.hpp"
#include "observe/message.hpp"

namespace steelyard::admin {
namespace {

constexpr Duration stall_timeout = 10s;  // without a byte moving, either way

struct KnownField {
  std::string_view name;
  std::optional<std::string_view>* at;
};

bool has_type(std::string_view content_type, std::string_view type) {
  return equals_ignoring_case(trim(content_type.substr(0, content_type.find(';'))), type);
}

// A page can send text/plain and forms to anybody without asking; these types it cannot (WHATWG Fetch, "CORS-safelisted").
std::optional<Answer> refuse_type(std::optional<std::string_view> content_type, Input input) {
  const bool json = content_type && has_type(*content_type, "application/json");
  const bool yaml = input == Input::configuration && content_type && has_type(*content_type, "application/yaml");
  if (json || yaml) return std::nullopt;
  const char* const allowed = input == Input::configuration ? "application/yaml or application/json" : "application/json";
  return answer_problem(415, "unsupported_media_type", fmt::format("the body's Content-Type must be {}", allowed), "Content-Type");
}

Answer answer_too_large() {
  return answer_problem(413, "too_large", fmt::format("the body is larger than {} KiB, which is all that is taken", body_bytes_max / 1024));
}

Answer answer_to_body_failure(const Error& error) {
  switch (error.kind) {
    case ErrorKind::too_large: return answer_too_large();
    case ErrorKind::timed_out: return answer_problem(408, "timed_out", "the body did not arrive in time");
    case ErrorKind::closed: return answer_problem(400, "malformed_request", "the request ended before its body was complete");
    default: return answer_problem(400, "malformed_request", "the body's coding is malformed");
  }
}

Answer answer_to_refusal(const http::ParseError& refusal) {
  if (refusal.status == 503) {
    return answer_problem(
        503, "too_many_connections",
        fmt::format("the admin API serves {} connections at once, and there are as many", connection_options.connections_max));
  }
  return answer_problem(refusal.status, "malformed_request", refusal.reason);
}

std::string name_of(const SocketAddress& client) { return client == SocketAddress{} ? "the Unix socket" : client.to_string(); }

}  // namespace

void configure(Frontend& frontend) {
  frontend.http.body_bytes_max = body_bytes_max;
  frontend.http.client_half_close = HalfClose::abort;  // a page that is closed ends its stream of events at once
  frontend.timeouts.body_idle = stall_timeout;
  frontend.timeouts.drain = 2s;
}

Api::Api(Scheduler& scheduler, Scratch& scratch, WorkerMetrics& metrics, Control& control, EventLog& events, Access access)
    : scheduler_(scheduler), scratch_(scratch), metrics_(metrics), control_(control), events_(events), access_(std::move(access)) {}

Task<void> Api::serve(Exchange& exchange) {
  if (exchange.refusal) {
    const Answer answer = answer_to_refusal(*exchange.refusal);
    co_await send(exchange, answer);
    co_return;
  }
  const Request request = read_request(exchange.head());
  const auto admitted = admit(exchange, request);
  if (!admitted) {
    co_await send(exchange, admitted.error());
    co_return;
  }
  if (admitted->endpoint->run == nullptr) {
    co_await stream_events(exchange, request);
    co_return;
  }
  std::string body;
  if (admitted->endpoint->input != Input::none) {
    const auto received = co_await receive_body(exchange, body);
    if (!received) {
      const ErrorKind kind = received.error().kind;
      exchange.broken_off = kind == ErrorKind::cancelled || kind == ErrorKind::reset || kind == ErrorKind::system;
      const Answer answer = answer_to_body_failure(received.error());
      if (!exchange.broken_off) co_await send(exchange, answer);
      co_return;
    }
  }
  const Answer answer = perform(exchange, request, *admitted, body);
  co_await send(exchange, answer);
}

Api::Request Api::read_request(const http::RequestHead& head) {
  Request request;
  request.asked.authority = head.authority;
  request.query = head.query;
  request.has_body = head.body.kind != http::BodyKind::none;
  request.body_bytes = head.body.kind == http::BodyKind::length ? head.body.length : 0;
  const KnownField known[] = {{"Authorization", &request.asked.authorization}, {"Origin", &request.asked.origin},
                              {"Sec-Fetch-Site", &request.asked.fetch_site},   {"Content-Type", &request.content_type},
                              {"If-Match", &request.conditions.if_match},      {"If-None-Match", &request.conditions.if_none_match},
                              {"Last-Event-ID", &request.last_event_id}};
  for (const http::Field& field : head.fields.all()) {
    for (const KnownField& one : known) {
      if (!equals_ignoring_case(field.name, one.name)) continue;
      if (*one.at) request.repeated = one.name;
      *one.at = field.value;
    }
  }
  return request;
}

std::expected<Api::Admitted, Answer> Api::admit(const Exchange& exchange, const Request& request) const {
  // Which of two counts, two readers may see differently.
  if (!request.repeated.empty()) {
    return std::unexpected(
        answer_problem(400, "malformed_request", fmt::format("the field {} is there twice", request.repeated), request.repeated));
  }
  if (const auto denied = access_.judge(request.asked)) return std::unexpected(answer_denied(*denied));
  auto caller = access_.identify(request.asked);
  if (!caller) {
    log_message_limited(LogLevel::warning, "admin token", "admin: a request from {} was refused: {}", name_of(exchange.client),
                        caller.error().message);
    return std::unexpected(answer_denied(caller.error()));
  }
  auto found = find_endpoint(exchange.method, exchange.path);
  if (!found) return std::unexpected(found.error());
  const Endpoint& endpoint = *found->endpoint;
  if (caller->role == Caller::Role::registrar && (endpoint.who != Who::registrar_too || found->pool != caller->pool)) {
    return std::unexpected(answer_problem(
        403, "not_allowed",
        fmt::format("this token is for servers of the pool {} that register, renew and leave: use the operator's", caller->pool)));
  }
  const auto deadline = read_query(endpoint, request.query);
  if (!deadline) return std::unexpected(deadline.error());
  if (endpoint.input != Input::none && request.has_body) {
    if (auto refused = refuse_type(request.content_type, endpoint.input)) return std::unexpected(std::move(*refused));
    if (request.body_bytes > body_bytes_max) {
      metrics_.hit(Limit::body_bytes);
      return std::unexpected(answer_too_large());
    }
  }
  return Admitted{&endpoint, std::move(*caller), std::move(found->pool), std::move(found->id), *deadline};
}

// What a library or a Control throws ends here.
Answer Api::perform(const Exchange& exchange, const Request& request, const Admitted& admitted, std::string_view body) const {
  const Endpoint& endpoint = *admitted.endpoint;
  Answer answer;
  try {
    answer = endpoint.run({.control = control_,
                           .endpoint = endpoint,
                           .caller = admitted.caller,
                           .pool = admitted.pool,
                           .id = admitted.id,
                           .conditions = request.conditions,
                           .deadline = admitted.deadline,
                           .body = body});
  } catch (const std::exception& error) {
    log_message(LogLevel::error, "admin: {} {} failed: {}", exchange.method_text, config::printable(exchange.path), error.what());
    answer = answer_problem(500, "failed", "the proxy failed to do this; its log says why");
  }
  // Renewals come by the second.
  const bool changes = endpoint.input != Input::none && endpoint.input != Input::configuration && endpoint.input != Input::renewal;
  if (changes) {
    log_message(LogLevel::info, "admin: {} {} by {} from {}: {}", exchange.method_text, config::printable(exchange.path),
                owner_name(admitted.caller), name_of(exchange.client), answer.status);
  }
  return answer;
}

Task<Result<void>> Api::receive_body(Exchange& exchange, std::string& body) {
  // Who sends nothing before it is told to is told to, as its body is wanted (RFC 9110 §10.1.1).
  if (!exchange.body.done() && exchange.body_start.empty() && exchange.head().expects_continue) {
    const auto told = exchange.response.send(std::string_view("HTTP/1.1 100 Continue\r\n\r\n"));
    if (!told) co_return told;
  }
  body.append(exchange.body_start.data(), exchange.body_start.size());
  while (!exchange.body.done()) {
    const auto piece = exchange.body.read(scratch_.data());
    if (piece) {
      exchange.keep_leftover(piece->leftover);
      body.append(piece->payload.data(), piece->payload.size());
      if (body.size() <= body_bytes_max) continue;
      metrics_.hit(Limit::body_bytes);
      co_return fail(ErrorKind::too_large, Side::client);
    }
    if (piece.error().kind != ErrorKind::would_block) co_return std::unexpected(piece.error());
    exchange.fiber.set_deadline(scheduler_.now() + stall_timeout);
    const WaitResult waited = co_await exchange.body.stream().readable();
    if (waited == WaitResult::timed_out) metrics_.hit(Limit::body_idle_timeout);
    if (waited != WaitResult::done) co_return fail(error_of(waited), Side::client);
  }
  co_return Result<void>{};
}

Task<void> Api::send(Exchange& exchange, const Answer& answer) {
  HeadBuilder head(scratch_.head());
  write_answer_head(head, exchange, answer, Coding::length, date());
  exchange.response_started = true;
  const bool has_body = exchange.method != http::Method::head && answer.status != 204 && answer.status != 304;
  const bool in_one = has_body && head.view().size() + answer.body.size() <= Scratch::head_bytes;
  if (in_one) head.text(answer.body);
  auto sent = exchange.response.send(head.view());
  if (sent && has_body && !in_one) sent = exchange.response.send(std::string_view(answer.body));
  if (!sent) exchange.broken_off = true;
  co_await flush(exchange);
}

Task<void> Api::flush(Exchange& exchange) {
  while (!exchange.broken_off && !exchange.response.empty()) {
    const auto flushed = exchange.response.flush();
    if (flushed) co_return;
    if (flushed.error().kind != ErrorKind::would_block) {
      exchange.broken_off = true;
    } else {
      const WaitResult waited = co_await wait_to_send(exchange);
      if (waited != WaitResult::done) exchange.broken_off = true;
    }
  }
}

Task<WaitResult> Api::wait_to_send(Exchange& exchange) {
  exchange.fiber.set_deadline(scheduler_.now() + stall_timeout);
  const WaitResult waited = co_await exchange.response.stream().writable();
  if (waited == WaitResult::timed_out) metrics_.hit(Limit::body_idle_timeout);
  co_return waited;
}

}  // namespace steelyard::admin
