// Waiting for a server's answer: until its head is complete, how long, and what may be done meanwhile.
#include <algorithm>
#include <cstring>

#include "proxy/http_proxy.hpp"
#include "wire/http1/parse.hpp"

namespace steelyard {
namespace {

constexpr Duration unwatched_wait = 20ms;

}  // namespace

// Until a response's head is complete: response_head_ views into the scratch, and so does what is returned, the bytes after
// the head. `received` holds what arrived before, over waits; after an interim response that may be a whole head.
Task<Result<std::span<char>>> HttpProxy::receive_head(Trip& trip, Buffer& received) {
  const std::span<char> memory = scratch_.data();
  http1::ScanState scan;
  bool unparsed = !received.empty();
  trip.head_deadline = trip.uploading ? trip.total_deadline : first_byte_deadline(trip);
  Patience patience{this_try_deadline(trip), hedge_time(trip)};
  for (;;) {
    Stream& stream = trip.connection->stream();
    std::size_t have = received.size();
    if (have != 0) std::memcpy(memory.data(), received.data(), have);
    if (!unparsed) {
      const auto got = stream.read(memory.subspan(have));
      unparsed = got && *got != 0;
      if (unparsed) have += *got;
      if (got && *got == 0) co_return std::unexpected(before_answer(trip, {ErrorKind::closed, Side::server}));
      if (!got && got.error().kind != ErrorKind::would_block) co_return std::unexpected(before_answer(trip, got.error()));
    }
    if (unparsed) {
      if (trip.first_byte_time == Duration{0}) trip.first_byte_time = scheduler_.now() - trip.exchange.start;
      const auto parsed = http1::parse_response({memory.data(), have}, scan, site_.http.head, trip.exchange.method, response_head_);
      if (!parsed) co_return fail(ErrorKind::malformed, Side::server);
      received.release();
      if (*parsed != 0) co_return memory.subspan(*parsed, have - *parsed);
      received.append(memory.first(have));
      trip.answered = true;
      unparsed = false;
      continue;
    }
    trip.waits_for_head = true;
    // A client is watched only once its answer takes a while: most never need it, and a connection that serves one request and
    // is closed is spared two system calls.
    const Instant unwatched_until = trip.exchange.response.stream().watched() ? never : scheduler_.now() + unwatched_wait;
    trip.exchange.fiber.set_deadline(std::min({trip.head_deadline, patience.with_try, patience.without_hedge, unwatched_until}));
    const WaitResult waited = co_await stream.readable();
    trip.waits_for_head = false;
    if (trip.hedge && (waited == WaitResult::done || trip.hedge->answered())) {
      if (waited != WaitResult::done) go_over_to_hedge(trip);
      co_await end_hedge(trip);
      continue;
    }
    if (waited == WaitResult::cancelled) co_return fail(ErrorKind::cancelled);
    if (waited == WaitResult::done) continue;
    const Result<void> goes_on = on_late_answer(trip, patience);
    if (!goes_on) co_return std::unexpected(goes_on.error());
  }
}

// No answer by one of the deadlines. Success: it is waited for a while longer.
Result<void> HttpProxy::on_late_answer(Trip& trip, Patience& patience) {
  const Instant now = scheduler_.now();
  if (now >= trip.head_deadline) {
    count_timeout(trip, Limit::first_byte_timeout);
    return fail(ErrorKind::timed_out, Side::server);
  }
  trip.exchange.response.stream().watch();
  // An answer that has begun is to be had from this server or from none.
  if (trip.answered) patience = {};
  if (now >= patience.with_try) {
    const Another another = take_another(trip, {ErrorKind::timed_out}, MayWait::no);
    if (another == Another::taken) return fail(ErrorKind::timed_out, Side::server, Retry::any);
    patience.with_try = never;  // nobody else is there to ask: better late than never
  }
  if (now >= patience.without_hedge) {
    patience.without_hedge = never;
    start_hedge(trip);
  }
  return {};
}

// When another server is asked instead.
Instant HttpProxy::this_try_deadline(const Trip& trip) const {
  const RetryOptions& retries = trip.pool->pool().options().retries;
  if (!retries.on_timeout || retries.try_timeout == Duration::max() || !is_repeatable(trip)) return never;
  return trip.try_start + retries.try_timeout;
}

// A deadline that passed is the phase's own, or the whole exchange's where that came first.
void HttpProxy::count_timeout(const Trip& trip, Limit limit) {
  metrics_.hit(scheduler_.now() >= trip.total_deadline ? Limit::total_timeout : limit);
}

// A failure while waiting for the answer: whether the request may be sent again. Once a byte has been answered it may not;
// before that it may if repeating does no harm and all of it is still here (RFC 9110 §9.2.2).
Error HttpProxy::before_answer(const Trip& trip, Error error) const {
  error.side = Side::server;
  error.retry = Retry::never;
  if (!is_repeatable(trip)) return error;
  if (trip.connection->reused()) {
    error.retry = Retry::fresh_connection;
  } else if (trip.pool->pool().options().retries.on_reset) {
    error.retry = Retry::any;
  }
  return error;
}

Instant HttpProxy::first_byte_deadline(const Trip& trip) const {
  return std::min(scheduler_.now() + trip.route->first_byte_timeout, trip.total_deadline);
}

}  // namespace steelyard
