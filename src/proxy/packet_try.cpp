// One try of a packet at one server: connect, send, receive the answer, pass it on.
#include <algorithm>

#include "decide/health/failure.hpp"
#include "proxy/packet_proxy.hpp"
#include "proxy/relay.hpp"
#include "wire/json/canonical.hpp"
#include "wire/json/scanner.hpp"

namespace steelyard {

Task<Result<void>> PacketProxy::try_server(Trip& trip, Freshness freshness) {
  ServerMetrics& server_metrics = connections_.metrics_of(trip.server());
  server_metrics.requests.add();
  trip.try_start = scheduler_.now();
  trip.active = trip.server().load.active.load(std::memory_order_relaxed);
  trip.connected = false;
  auto result = co_await connect(trip, freshness);
  if (result) {
    StreamWriter to_server(trip.connection->stream(), Side::server);
    result = co_await ask(trip, to_server);
    // Not the server's doing, whatever was waited for.
    if (!result && result.error().kind == ErrorKind::cancelled) result = fail(ErrorKind::cancelled);
    if (!result && result.error().side == Side::server) {
      // Not a byte has left, so no server can have acted on it; else the listener says whether it may be sent again.
      const bool unsent = to_server.sent_bytes() == 0;
      const bool stale = trip.connection->reused() && trip.first_byte_time == Duration{0};
      if (unsent || trip.options().repeat_any) result.error().retry = stale ? Retry::fresh_connection : Retry::any;
    }
  }
  if (!result && result.error().side == Side::server) server_metrics.failures.add();
  trip.connection.reset();
  report(trip, result);
  co_return result;
}

Task<Result<void>> PacketProxy::connect(Trip& trip, Freshness freshness) {
  const bool reuse = trip.options().keeps_servers && freshness == Freshness::reuse;
  while (reuse && !trip.connection) {
    trip.connection = connections_.take_idle(trip.server());
    if (!trip.connection) break;
    // What its server has closed by now, nobody having told us yet, would leave in doubt whether it got the packet.
    if (!trip.connection->stream().quiet()) trip.connection.reset();
  }
  if (!trip.connection) {
    trip.exchange.fiber.set_deadline(std::min(trip.try_start + trip.in_use.site().timeouts.connect, trip.total_deadline));
    auto connected = co_await connections_.connect(trip.server());
    trip.connect_time = scheduler_.now() - trip.try_start;
    if (!connected) {
      Error error = connected.error();
      if (error.kind == ErrorKind::timed_out) {
        metrics_.hit(scheduler_.now() >= trip.total_deadline ? Limit::total_timeout : Limit::connect_timeout);
      }
      if (!trip.pool->options().retries.on_connect) error.retry = Retry::never;
      co_return std::unexpected(error);
    }
    trip.connection = std::move(*connected);
  }
  trip.connected = true;
  // It may have been replaced, while the connection was made, by one that promises something else.
  if (trip.server().removed()) co_return fail(ErrorKind::outdated, Side::local, Retry::any);
  co_return Result<void>{};
}

Task<Result<void>> PacketProxy::ask(Trip& trip, StreamWriter& to_server) {
  const TimeoutOptions& timeouts = trip.in_use.site().timeouts;
  trip.first_byte_time = Duration{0};
  Stream& stream = trip.connection->stream();
  bool keeps = trip.options().keeps_servers;
  auto sent = to_server.send(std::string_view(trip.request));
  if (sent && !to_server.empty()) {
    sent = co_await flush(to_server, {timeouts.body_idle, trip.total_deadline, unlimited});
    // Whoever answers before it has the whole packet may take its rest for another one.
    keeps = keeps && stream.quiet();
  }
  // What a server says of a packet that it does not want to its end is its answer, too.
  const bool answered = !sent && sent.error().kind != ErrorKind::cancelled && to_server.sent_bytes() != 0 && !stream.quiet();
  if (!sent && !answered) co_return sent;

  Buffer received;
  json::ObjectScanner scanner;
  const Instant asked = scheduler_.now();
  for (;;) {
    const auto got = stream.read(scratch_.data());
    if (!sent && (!got || *got == 0)) co_return sent;
    if (got && *got == 0) co_return fail(received.empty() ? ErrorKind::closed : ErrorKind::malformed, Side::server);
    if (got) {
      if (trip.first_byte_time == Duration{0}) trip.first_byte_time = scheduler_.now() - trip.exchange.start;
      received.append(scratch_.data().first(*got));
      const auto scanned = scanner.feed(received.view());
      if (!scanned) co_return fail(ErrorKind::malformed, Side::server);
      const std::size_t bytes = *scanned != 0 ? *scanned : received.size();
      if (bytes > trip.options().bytes_max) co_return fail(ErrorKind::too_large, Side::server);
      if (*scanned == 0) continue;
      const bool alone = sent && *scanned == received.size();
      const auto passed = co_await pass_answer(trip, received.view().substr(0, *scanned));
      if (passed && alone && keeps) {
        connections_.keep(std::move(trip.connection), trip.pool->options().keepalive);
      }
      co_return passed;
    }
    if (got.error().kind != ErrorKind::would_block) {
      Error error = got.error();
      error.side = Side::server;
      co_return std::unexpected(error);
    }
    trip.exchange.fiber.set_deadline(std::min(asked + timeouts.first_byte, trip.total_deadline));
    const WaitResult waited = co_await stream.readable();
    if (waited == WaitResult::cancelled) co_return fail(ErrorKind::cancelled);
    if (waited == WaitResult::timed_out) {
      metrics_.hit(scheduler_.now() >= trip.total_deadline ? Limit::total_timeout : Limit::first_byte_timeout);
      co_return fail(ErrorKind::timed_out, Side::server);
    }
  }
}

// The server's object, spelled as every packet is.
Task<Result<void>> PacketProxy::pass_answer(Trip& trip, std::string_view object) {
  const Duration latency = scheduler_.now() - trip.try_start;
  trip.server().load.estimate.on_answer(latency, trip.active, scheduler_.now());
  trip.pool->pool().answer_time_p95().add(latency);
  text_.clear();
  json::write_canonical(object, text_);
  trip.status = 200;
  trip.answer_bytes = text_.size();
  StreamWriter& answer = trip.exchange.answer;
  if (trip.limits) trip.limits->on_last_bytes();
  auto sent = answer.send(std::string_view(text_));
  if (sent && !answer.empty()) sent = co_await flush(answer, {trip.in_use.site().timeouts.body_idle, trip.total_deadline, unlimited});
  co_return sent;
}

// What a try has shown of its server.
void PacketProxy::report(const Trip& trip, const Result<void>& result) const {
  Server& server = trip.server();
  const bool asked = trip.place.choice() == Choice::probe || trip.place.choice() == Choice::last_resort;
  if (result) return trip.pool->on_try(server, {}, asked, moment());
  const Error& error = result.error();
  // A kept connection that had gone stale is nobody's fault.
  if (!is_servers_fault(error) || error.retry == Retry::fresh_connection) return;
  server.load.estimate.on_failure(scheduler_.now());
  if (!trip.connected) return trip.pool->pool().on_unreachable(server, in_words(error.kind, 0), moment());
  trip.pool->on_try(server, broken(error.kind), asked, moment());
}

Answer PacketProxy::answer_for(const Error& error) const {
  if (error.side == Side::server && error.kind == ErrorKind::malformed) return {502, "the server's answer is not a valid JSON object"};
  if (error.side == Side::server && error.kind == ErrorKind::too_large) {
    return {502, "the server's answer is larger than allowed (packet_bytes_max)"};
  }
  if (error.kind == ErrorKind::policy_unmet) return {421, "no server promises the policy that the packet demands (privPoliId)"};
  return answer_to(error);
}

}  // namespace steelyard
