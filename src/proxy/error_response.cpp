#include "proxy/error_response.hpp"

#include "wire/http/status.hpp"

namespace steelyard {
namespace {

Answer answer_to_client_failure(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::timed_out: return {408, "the request's body did not arrive in time (timeouts.body_idle)"};
    case ErrorKind::too_large: return {413, "the request's body is larger than allowed (body_bytes_max)"};
    case ErrorKind::malformed: return {400, "the request's body is malformed"};
    default: return {400, "the request ended before its body was complete"};
  }
}

Answer answer_to_server_failure(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::timed_out: return {504, "the server did not answer in time"};
    case ErrorKind::refused: return {502, "the server refused the connection"};
    case ErrorKind::unreachable: return {502, "the server cannot be reached"};
    case ErrorKind::reset: return {502, "the server reset the connection before it answered"};
    case ErrorKind::closed: return {502, "the server closed the connection before it answered"};
    case ErrorKind::malformed: return {502, "the server's answer is not valid HTTP"};
    case ErrorKind::rejected: return {502, "the server's answer was one that is retried (retries.on_statuses)"};
    case ErrorKind::too_large: return {502, "the head of the server's answer is larger than allowed"};
    default: return {502, "the connection to the server failed"};
  }
}

Answer answer_to_local_failure(const Error& error) {
  switch (error.kind) {
    case ErrorKind::no_server: return {503, "no healthy server is available", true};
    case ErrorKind::timed_out: return {504, "the request took longer than allowed (timeouts.total)"};
    case ErrorKind::resources: return {503, "the proxy has no descriptors, memory or ports left", true};
    case ErrorKind::overloaded: return {503, "too many requests wait for a place at the pool's servers (concurrency.queue_max)", true};
    case ErrorKind::out_of_turn: return {503, "no place at the pool's servers became free in time (concurrency.queue_timeout)", true};
    case ErrorKind::outdated: return {503, "the server's labels changed while the request was on its way there: send it again", true};
    case ErrorKind::policy_absent: return {421, "the request does not name the policy that it demands, and its pool has none by default"};
    case ErrorKind::policy_ambiguous: return {400, "the request does not name the policy that it demands in one way"};
    case ErrorKind::policy_unmet:
      return {error.os_code, "no server of the pool promises the policy that the request demands", error.os_code == 503};
    default: return {500, "the proxy failed"};
  }
}

// Reasons are our own sentences, and ids are checked: only what a parser's sentence might hold needs care.
void write_json_text(HeadBuilder& out, std::string_view text) {
  for (const char c : text) {
    if (c == '"' || c == '\\') out.text("\\");
    out.text({&c, 1});
  }
}

void write_connection(HeadBuilder& out, const Exchange& exchange) {
  if (!exchange.keep_alive) {
    out.field("Connection", "close");
  } else if (exchange.version_minor == 0) {
    out.field("Connection", "keep-alive");
  }
}

}  // namespace

Answer answer_to(const Error& error) {
  // Running out of descriptors is ours, whomever the socket was for.
  if (error.kind == ErrorKind::resources || error.side == Side::local) return answer_to_local_failure(error);
  return error.side == Side::client ? answer_to_client_failure(error.kind) : answer_to_server_failure(error.kind);
}

std::size_t write_answer(HeadBuilder& out, const Answer& answer, const Exchange& exchange, std::string_view request_id,
                         std::string_view date, std::string_view fields) {
  char memory[1024];
  HeadBuilder body(memory);
  const auto status = static_cast<std::uint64_t>(answer.status);
  if (exchange.wants_json) {
    body.text("{\"status\":").number(status).text(",\"error\":\"").text(http::reason_phrase(answer.status)).text("\",\"message\":\"");
    write_json_text(body, answer.reason);
    body.text("\",\"request_id\":\"").text(request_id).text("\"}\n");
  } else {
    body.number(status)
        .text(" ")
        .text(http::reason_phrase(answer.status))
        .text(": ")
        .text(answer.reason)
        .text("\nrequest id: ")
        .text(request_id)
        .text("\n");
  }
  out.text("HTTP/1.1 ").number(status).text(" ").text(http::reason_phrase(answer.status)).text("\r\n");
  out.field("Content-Type", exchange.wants_json ? "application/json" : "text/plain; charset=utf-8");
  out.text("Content-Length: ").number(body.view().size()).text("\r\n").field("Date", date).field("X-Request-Id", request_id);
  if (answer.status == 405) out.field("Allow", "GET, HEAD");
  if (answer.retry_after) out.field("Retry-After", "1");
  out.text(fields);
  write_connection(out, exchange);
  out.end();
  if (exchange.method == http::Method::head) return 0;
  out.text(body.view());
  return body.view().size();
}

std::size_t write_over_limit(HeadBuilder& out, const OverLimit& refusal) {
  const std::string& body = refusal.limit.body;
  const bool json = body.starts_with('{') || body.starts_with('[');
  out.text("HTTP/1.1 429 ").text(http::reason_phrase(429)).text("\r\n");
  out.text("Retry-After: ").number(refusal.retry_after_s).text("\r\n").text(refusal.fields);
  if (!body.empty()) out.field("Content-Type", json ? "application/json" : "text/plain; charset=utf-8");
  out.text("Content-Length: ").number(body.size()).text("\r\n").field("Date", refusal.date).field("X-Request-Id", refusal.request_id);
  write_connection(out, refusal.exchange);
  out.end();
  if (refusal.exchange.method == http::Method::head) return 0;
  out.text(body);
  return body.size();
}

}  // namespace steelyard
