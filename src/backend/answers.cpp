#include "backend/answers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "wire/http/status.hpp"

namespace steelyard::backend {
namespace {

constexpr std::uint64_t discard_bytes_max = 1024 * 1024;
// After so much without waiting, others get their turn.
constexpr std::uint64_t turn_bytes_max = 1024 * 1024;

class Discard final : public BodySink {
 public:
  bool take(std::span<const char> bytes) override {
    taken_bytes_ += bytes.size();
    return taken_bytes_ <= discard_bytes_max;
  }

 private:
  std::uint64_t taken_bytes_ = 0;
};

Answer answer_to_body_failure(const Error& error) {
  switch (error.kind) {
    case ErrorKind::too_large: return problem(413, "the body is larger than 1 MiB, which is all that is taken here");
    case ErrorKind::timed_out: return problem(408, "the request's body did not arrive in time");
    case ErrorKind::closed: return problem(400, "the request ended before its body was complete");
    default: return problem(400, "the request's body is malformed");
  }
}

}  // namespace

Answers::Answers(Scheduler& scheduler, Scratch& scratch, const TimeoutOptions& timeouts, std::string_view name)
    : scheduler_(scheduler), scratch_(scratch), timeouts_(timeouts), own_fields_(fmt::format("X-Backend: {}\r\n", name)) {}

void Answers::write_head(HeadBuilder& out, const Exchange& exchange, const AnswerHead& head) {
  out.text("HTTP/1.1 ").number(static_cast<std::uint64_t>(head.status)).text(" ").text(http::reason_phrase(head.status)).text("\r\n");
  out.text(own_fields_).field("Date", date_.at(scheduler_.unix_us())).text(head.fields);
  if (head.coding != BodyCoding::none && !head.type.empty()) out.field("Content-Type", head.type);
  if (head.coding == BodyCoding::length) out.text("Content-Length: ").number(head.length).text("\r\n");
  if (head.coding == BodyCoding::chunked) out.text("Transfer-Encoding: chunked\r\n");
  if (head.status == 101) {
    // Its fields name the protocol; nothing else is said of a connection that is no longer HTTP's.
  } else if (!exchange.keep_alive || exchange.draining) {
    out.text("Connection: close\r\n");
  } else if (exchange.version_minor == 0) {
    out.text("Connection: keep-alive\r\n");
  }
  out.end();
}

Task<void> Answers::send(Exchange& exchange, const Answer& answer) {
  // What is left of the body would be taken for the next request.
  if (!exchange.body.done()) exchange.keep_alive = false;
  const bool bodiless = answer.status == 204 || answer.status == 304;  // RFC 9110 §15.3.5, §15.4.5
  HeadBuilder out(scratch_.head());
  write_head(out, exchange,
             {.status = answer.status,
              .type = answer.type,
              .coding = bodiless ? BodyCoding::none : BodyCoding::length,
              .length = answer.body.size(),
              .fields = answer.fields});
  const bool with_body = !bodiless && exchange.method != http::Method::head;
  const bool in_one = with_body && out.view().size() + answer.body.size() <= Scratch::head_bytes;
  if (in_one) out.text(answer.body);
  exchange.response_started = true;
  if (!exchange.response.send(out.view())) exchange.broken_off = true;
  const bool flushed = co_await flush(exchange);
  if (flushed && with_body && !in_one) co_await send_all(exchange, answer.body);
}

Task<bool> Answers::flush(Exchange& exchange) {
  while (!exchange.broken_off && !exchange.response.empty()) {
    const auto flushed = exchange.response.flush();
    if (flushed) break;
    if (flushed.error().kind != ErrorKind::would_block) {
      exchange.broken_off = true;
    } else {
      co_await wait_to_send(exchange);
    }
  }
  co_return !exchange.broken_off;
}

Task<bool> Answers::send_all(Exchange& exchange, std::span<const char> bytes) {
  const bool flushed = co_await flush(exchange);
  if (!flushed) co_return false;
  Stream& stream = exchange.response.stream();
  std::uint64_t turn_bytes = 0;
  while (!bytes.empty()) {
    const auto sent = stream.write(bytes);
    if (sent) {
      exchange.response.count_sent(*sent);
      bytes = bytes.subspan(*sent);
      turn_bytes += *sent;
      if (turn_bytes < turn_bytes_max || bytes.empty()) continue;
      turn_bytes = 0;
      const WaitResult yielded = co_await yield_turn();
      if (yielded == WaitResult::cancelled) exchange.broken_off = true;
    } else if (sent.error().kind == ErrorKind::would_block) {
      turn_bytes = 0;
      co_await wait_to_send(exchange);
    } else {
      exchange.broken_off = true;
    }
    if (exchange.broken_off) co_return false;
  }
  co_return true;
}

Task<bool> Answers::wait_to_send(Exchange& exchange) {
  exchange.fiber.set_deadline(scheduler_.now() + timeouts_.body_idle);
  const WaitResult waited = co_await exchange.response.stream().writable();
  if (waited != WaitResult::done) exchange.broken_off = true;
  co_return !exchange.broken_off;
}

Task<bool> Answers::pause(Exchange& exchange, Instant until) {
  if (until <= scheduler_.now()) co_return true;
  exchange.response.stream().watch();  // to learn of a client that leaves meanwhile
  exchange.fiber.set_deadline(until);
  const WaitResult waited = co_await until_deadline();
  exchange.fiber.clear_deadline();
  if (waited == WaitResult::cancelled) exchange.broken_off = true;
  co_return !exchange.broken_off;
}

Task<bool> Answers::read_body(Exchange& exchange, BodySink& sink) {
  const auto received = co_await receive_body(exchange, sink);
  if (received) co_return true;
  co_await answer_body_failure(exchange, received.error());
  co_return false;
}

Task<void> Answers::answer_body_failure(Exchange& exchange, Error error) {
  if (error.kind == ErrorKind::cancelled || error.kind == ErrorKind::reset || error.kind == ErrorKind::system) {
    exchange.broken_off = true;
    co_return;
  }
  exchange.keep_alive = false;
  const Answer answer = answer_to_body_failure(error);
  co_await send(exchange, answer);
}

Task<Result<void>> Answers::receive_body(Exchange& exchange, BodySink& sink) {
  if (!sink.take(exchange.body_start)) co_return fail(ErrorKind::too_large, Side::client);
  // Who sends nothing before it is told to is told to, as its body is wanted (RFC 9110 §10.1.1).
  if (!exchange.body.done() && exchange.body_start.empty() && exchange.head().expects_continue) {
    const auto told = exchange.response.send(std::string_view("HTTP/1.1 100 Continue\r\n\r\n"));
    if (!told) co_return told;
  }
  std::uint64_t turn_bytes = 0;
  while (!exchange.body.done()) {
    const auto piece = exchange.body.read(scratch_.data());
    WaitResult waited = WaitResult::done;
    if (piece) {
      exchange.keep_leftover(piece->leftover);
      if (!sink.take(piece->payload)) co_return fail(ErrorKind::too_large, Side::client);
      turn_bytes += piece->payload.size();
      if (turn_bytes < turn_bytes_max) continue;
      turn_bytes = 0;
      waited = co_await yield_turn();
    } else if (piece.error().kind == ErrorKind::would_block) {
      exchange.fiber.set_deadline(scheduler_.now() + timeouts_.body_idle);
      waited = co_await exchange.body.stream().readable();
      turn_bytes = 0;
    } else {
      co_return std::unexpected(piece.error());
    }
    if (waited != WaitResult::done) co_return fail(error_of(waited), Side::client);
  }
  co_return Result<void>{};
}

Task<bool> Answers::discard_body(Exchange& exchange) {
  if (exchange.body.done()) co_return true;
  // Nobody is told to send a body that nobody reads.
  const bool waits = exchange.body_start.empty() && exchange.head().expects_continue;
  if (waits || exchange.body.length_left() > discard_bytes_max) {
    exchange.keep_alive = false;
    co_return true;
  }
  Discard sink;
  const auto received = co_await receive_body(exchange, sink);
  if (received) co_return true;
  if (received.error().kind == ErrorKind::too_large) co_return true;  // unread, so the connection will end
  co_await answer_body_failure(exchange, received.error());
  co_return false;
}

Answer problem(int status, std::string_view reason) {
  const nlohmann::json text(reason);
  return {.status = status, .body = "{\"error\":" + text.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "}\n"};
}

}  // namespace steelyard::backend
