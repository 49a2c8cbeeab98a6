// One try of an exchange at one server: connect, send, receive, pass on.
#include <algorithm>

#include "base/ascii.hpp"
#include "decide/health/failure.hpp"
#include "proxy/http_proxy.hpp"
#include "runtime/child.hpp"
#include "wire/http1/parse.hpp"

namespace steelyard {
namespace {

constexpr int interim_max = 16;

ClientCoding coding_for(const http::ResponseHead& head, std::uint8_t client_version_minor) {
  switch (head.body.kind) {
    case http::BodyKind::none: return ClientCoding::none;
    case http::BodyKind::length: return ClientCoding::length;
    default: return client_version_minor == 0 ? ClientCoding::until_close : ClientCoding::chunked;
  }
}

// What some servers say when they close a kept connection on which no request has come: on a reused one it may have been sent
// before ours arrived, and a client may repeat its request on another (RFC 9110 §15.5.9).
bool is_goodbye(const http::ResponseHead& head) { return head.status == 408 && !head.keep_alive; }

// That carries a token which ends here, or which is replaced; "": none.
std::string_view token_cookie(const Site::Route& route) {
  const RouteOptions& options = *route.heads;
  if (route.guarded) return options.guard->token_in == TokenPlace::cookie ? std::string_view(options.guard->token_name) : "";
  return options.redirect.token_in == TokenPlace::cookie ? std::string_view(options.redirect.token_name) : "";
}

bool offers(std::string_view offered, std::string_view chosen) {
  while (!offered.empty()) {
    const std::size_t comma = std::min(offered.find(','), offered.size());
    if (equals_ignoring_case(trim(offered.substr(0, comma)), chosen)) return true;
    offered.remove_prefix(std::min(comma + 1, offered.size()));
  }
  return false;
}

}  // namespace

Task<Result<void>> HttpProxy::try_server(Trip& trip, Freshness freshness) {
  Exchange& exchange = trip.exchange;
  Server& server = trip.server();
  ServerMetrics& server_metrics = connections_.metrics_of(server);
  server_metrics.requests.add();
  trip.upload = {};
  trip.try_start = scheduler_.now();
  trip.active = server.load.active.load(std::memory_order_relaxed);
  trip.connected = false;
  const auto built = build_request(trip);
  if (!built) co_return built;

  if (freshness == Freshness::reuse) trip.connection = take_idle(trip);
  if (!trip.connection) {
    const auto connected = co_await connect(trip);
    if (!connected) co_return connected;
  }
  // Where its labels have changed meanwhile, another object stands for that server now, and promises something else.
  if (trip.demanded && server.removed()) {
    trip.connection.reset();
    co_return fail(ErrorKind::outdated);
  }
  trip.connected = true;
  StreamWriter to_server(trip.connection->stream(), Side::server);
  Result<void> result = to_server.send(trip.request.view());
  Child upload(scheduler_);
  if (result) {
    trip.upload_done = exchange.body.done() && to_server.empty();
    if (!exchange.body.done()) trip.replayable = false;
    if (!trip.upload_done) upload.start(upload_rest(trip, to_server));
    // A client that has failed at once could not interrupt a fiber that was not waiting yet.
    if (!trip.upload && trip.upload.error().side == Side::client) {
      result = trip.upload;
    } else {
      result = co_await receive_and_pass_on(trip, to_server);
    }
  }
  // An answer may be complete before the request is; what is left of the request then has no reader.
  if (upload.running()) {
    upload.cancel(Cause::sibling_done);
    co_await upload.join();
  }
  if (!trip.upload_done) exchange.keep_alive = false;
  // Whose failure came first: an upload that was only told to stop has not failed by itself.
  const bool upload_failed = !trip.upload && trip.upload.error().kind != ErrorKind::cancelled;
  if (!result && upload_failed && trip.upload.error().side == Side::client) result = trip.upload;

  if (result) {
    trip.connection.reset();
    report(trip, result);
    co_return result;
  }
  Error error = result.error();
  if (error.kind != ErrorKind::rejected) server_metrics.failures.add();
  // Not a byte of the request has left: no server can have acted on it, whatever its method.
  if (to_server.sent_bytes() == 0 && error.side == Side::server && trip.replayable) {
    error.retry = trip.connection->reused() ? Retry::fresh_connection : Retry::any;
  }
  // A server that is only told that nothing more comes would go on working for nobody.
  if (error.kind == ErrorKind::cancelled || error.side == Side::client) trip.connection->stream().reset_on_close();
  trip.connection.reset();
  result = std::unexpected(error);
  report(trip, result);
  co_return result;
}

Task<Result<void>> HttpProxy::connect(Trip& trip) {
  Server& server = trip.server();
  trip.exchange.fiber.set_deadline(std::min(trip.try_start + trip.site().timeouts.connect, trip.total_deadline));
  auto connected = co_await connections_.connect(server);
  trip.connect_time = scheduler_.now() - trip.try_start;
  if (connected) {
    trip.connection = std::move(*connected);
    co_return Result<void>{};
  }
  connections_.metrics_of(server).failures.add();
  Error error = connected.error();
  if (error.kind == ErrorKind::timed_out) count_timeout(trip, Limit::connect_timeout);
  if (!trip.pool->options().retries.on_connect) error.retry = Retry::never;
  const Result<void> failed = std::unexpected(error);
  report(trip, failed);
  co_return failed;
}

// A kept connection. A request that must not be sent twice gets one only after a look at it: its server may have closed it
// without our having been told yet, and then nobody could say whether the request was acted on.
ServerConnectionPtr HttpProxy::take_idle(Trip& trip) {
  for (;;) {
    ServerConnectionPtr connection = connections_.take_idle(trip.server());
    const bool repeatable = trip.exchange.body.done() && is_repeatable(trip);
    if (!connection || repeatable || connection->stream().quiet()) return connection;
  }
}

// The request as it goes out: its head, and what of the body came with it. Made anew for another try only where the head is for one.
Result<void> HttpProxy::build_request(Trip& trip) {
  if (!trip.request.empty() && !is_for_one_try(trip)) return {};
  std::optional<OwnToken> token;
  if (trip.carried) {
    token = sign(trip);
    if (!token) return fail(ErrorKind::system);
  }
  Exchange& exchange = trip.exchange;
  const http::RequestHead& head = exchange.head();
  HeadBuilder out(scratch_.head());
  write_request_head(out, {.head = head,
                           .path = trip.path.empty() ? head.path : trip.path.view(),
                           .route = *trip.route->heads,
                           .forwarded = trip.site().forwarded,
                           .server = trip.server(),
                           .client = exchange.client.ip,
                           .request_id = trip.request_id,
                           .expect = trip.demanded && trip.demanded->body_received ? Expect::met : Expect::passed_on,
                           .query = token ? &token->query : trip.query.get(),
                           .without_cookie = token_cookie(*trip.route),
                           .cookie = token ? std::string_view(token->cookie) : "",
                           .by_gateway = trip.by_gateway});
  if (out.overflowed()) return fail(ErrorKind::system);
  trip.request.release();
  const std::span<char> start = exchange.body_start;
  trip.request.reserve(out.view().size() + start.size() + 64 + exchange.body.trailers().size());
  trip.request.append(out.view());
  if (head.body.kind != http::BodyKind::chunked) {
    trip.request.append(start);
  } else if (!start.empty() || exchange.body.done()) {
    append_chunks(trip, start);
  }
  return {};
}

// Through the scratch, which has room around the payload for the coding.
void HttpProxy::append_chunks(Trip& trip, std::span<const char> rest) {
  const BodyReader& body = trip.exchange.body;
  do {
    const std::span<char> payload = scratch_.data().first(std::min(rest.size(), Scratch::data_bytes));
    std::ranges::copy(rest.first(payload.size()), payload.begin());
    rest = rest.subspan(payload.size());
    trip.request.append(encode_chunk(payload, body.done() && rest.empty() ? Last::yes : Last::no, body.trailers()));
  } while (!rest.empty());
}

// A child of the try: sends what of the request is not sent yet. When the client fails, the try has no purpose any more; when
// the server stops reading, its answer may still be on the way.
Task<void> HttpProxy::upload_rest(Trip& trip, StreamWriter& to_server) {
  Exchange& exchange = trip.exchange;
  trip.uploading = true;
  const Coding coding = exchange.body.kind() == http::BodyKind::chunked ? Coding::chunked : Coding::plain;
  trip.upload = co_await relay_body(exchange.body, to_server, coding, {scratch_, pipes_}, bounds(trip), &exchange);
  trip.uploading = false;
  trip.upload_done = trip.upload.has_value();
  if (trip.upload || trip.upload.error().side == Side::server) {
    // Either way nothing more is sent: from now on the server has so long to answer.
    trip.head_deadline = first_byte_deadline(trip);
    // Events that woke the upload told nobody else that the client has gone.
    if (trip.upload && is_gone(trip)) exchange.fiber.cancel(Cause::client_gone);
    if (trip.waits_for_head) exchange.fiber.set_deadline(std::min(exchange.fiber.deadline(), trip.head_deadline));
  } else if (trip.upload.error().kind != ErrorKind::cancelled) {
    if (trip.upload.error().kind == ErrorKind::too_large) metrics_.hit(Limit::body_bytes);
    if (trip.upload.error().kind == ErrorKind::timed_out) count_timeout(trip, Limit::body_idle_timeout);
    exchange.fiber.interrupt();
  }
}

bool HttpProxy::is_gone(const Trip& trip) {
  const Stream& client = trip.exchange.body.stream();
  return client.broken() || (client.peer_ended() && trip.site().http.client_half_close == HalfClose::abort);
}

// Receives responses until the final one has been passed on.
Task<Result<void>> HttpProxy::receive_and_pass_on(Trip& trip, StreamWriter& to_server) {
  Buffer received;
  for (int interim = 0; interim <= interim_max; ++interim) {
    const auto head = co_await receive_head(trip, received);
    if (!head && trip.hedge) co_await end_hedge(trip);
    if (!head) co_return std::unexpected(head.error());
    const int status = response_head_.status;
    if (status == 101) {
      const auto tunnelled = co_await pass_tunnel(trip, *head, to_server);
      co_return tunnelled;
    }
    if (is_goodbye(response_head_)) {
      const Error stale = before_answer(trip, {ErrorKind::closed, Side::server});
      if (stale.retry == Retry::fresh_connection) co_return std::unexpected(stale);
    }
    if (status >= 200) {
      if (is_retried(trip, status)) {
        keep_rejected(trip, *head);
        co_return fail(ErrorKind::rejected, Side::server, Retry::any, status);
      }
      if (!speaks_against_server(status)) {
        const Duration latency = scheduler_.now() - trip.try_start;
        trip.server().load.estimate.on_answer(latency, trip.active, scheduler_.now());
        trip.pool->pool().answer_time_p95().add(latency);
      }
      const auto passed = co_await pass_response(trip, *head);
      co_return passed;
    }
    trip.answered = true;
    received.append(*head);
    auto passed = pass_interim(trip);
    // The client may wait for it before it goes on.
    if (passed && !trip.exchange.response.empty()) passed = co_await flush(trip.exchange.response, bounds(trip));
    if (!passed) co_return passed;
  }
  co_return fail(ErrorKind::malformed, Side::server);
}

Result<void> HttpProxy::pass_interim(Trip& trip) {
  if (trip.exchange.version_minor == 0) return {};  // HTTP/1.0 knows no 1xx (RFC 9110 §15.2)
  HeadBuilder out(scratch_.head());
  write_interim_head(out, response_head_);
  return trip.exchange.response.send(out.view());
}

// An answer that the client will not see. Its connection is still good where all of it is here already.
void HttpProxy::keep_rejected(Trip& trip, std::span<char> after_head) {
  BodyReader body(trip.connection->stream(), response_head_.body, Side::server);
  const auto piece = body.take(after_head);
  const bool whole = piece && body.done() && !body.overran() && response_head_.body.kind != http::BodyKind::until_close;
  if (whole && response_head_.keep_alive) connections_.keep(std::move(trip.connection), trip.pool->options().keepalive);
}

// Sends the head and what there is of the body in one piece, then relays the rest. Keeps the server's connection when nothing
// is left on it.
Task<Result<void>> HttpProxy::pass_response(Trip& trip, std::span<char> after_head) {
  Exchange& exchange = trip.exchange;
  const http::ResponseHead& head = response_head_;
  BodyReader body(trip.connection->stream(), head.body, Side::server);
  const auto piece = body.take(after_head);
  if (!piece) co_return fail(ErrorKind::malformed, Side::server);
  const ClientCoding coding = coding_for(head, exchange.version_minor);
  if (coding == ClientCoding::until_close) exchange.keep_alive = false;
  if (exchange.draining) exchange.keep_alive = false;
  // An answer that refuses an unfinished request: what is left of the request will not be read to its end.
  if (!trip.upload_done && (head.status >= 300 || !head.keep_alive)) exchange.keep_alive = false;
  const bool keeps_alive = head.keep_alive && head.body.kind != http::BodyKind::until_close;

  HeadBuilder out(scratch_.head());
  write_response_head(out, {head, trip.route->heads->response_headers, coding, exchange, date(), new_session(trip), limit_fields(trip)});
  if (out.overflowed()) co_return fail(ErrorKind::too_large, Side::server);
  trip.answered = true;
  trip.status = static_cast<std::uint16_t>(head.status);
  exchange.response_started = true;
  const std::span<const char> first = first_bytes(body, *piece, coding);
  if (trip.limits && body.done()) trip.limits->on_last_bytes();
  auto sent = exchange.response.send(placed_before(out.view(), first));
  Pace* const pace = trip.limits && trip.limits->paces() ? trip.limits.get() : nullptr;
  if (sent && pace != nullptr && body.done()) pace->spend(first.size(), scheduler_.now());  // who comes next waits for it
  if (sent && (!body.done() || !exchange.response.empty())) {
    RelayBounds limits = bounds(trip);
    limits.body_bytes_max = unlimited;
    limits.pace = body.done() ? nullptr : pace;
    limits.sent_already = first.size();
    limits.before_end = trip.limits.get();
    const Coding relayed = coding == ClientCoding::chunked ? Coding::chunked : Coding::plain;
    sent = co_await relay_body(body, exchange.response, relayed, {scratch_, pipes_}, limits, nullptr);
  }
  trip.response_bytes = body.payload_bytes();
  if (!sent) {
    if (sent.error().kind == ErrorKind::timed_out) count_timeout(trip, Limit::body_idle_timeout);
    // A body whose end is the connection's end must not look complete; of the others the client knows what is missing.
    exchange.broken_off = coding == ClientCoding::until_close;
    exchange.keep_alive = false;
    trip.outcome = Outcome::truncated;
    co_return sent;
  }
  if (keeps_alive && trip.upload_done && !body.overran()) connections_.keep(std::move(trip.connection), trip.pool->options().keepalive);
  co_return Result<void>{};
}

// The first bytes of a body as they go to the client, in the scratch with room before them.
std::span<const char> HttpProxy::first_bytes(const BodyReader& body, const BodyReader::Piece& piece, ClientCoding coding) {
  const std::span<char> payload = piece.payload.empty() ? scratch_.data().first(0) : piece.payload;
  if (coding != ClientCoding::chunked) return payload;
  return encode_chunk(payload, body.done() ? Last::yes : Last::no, body.trailers());
}

// Head and body as one contiguous piece: the head is copied directly in front of the body, which is somewhere in the scratch.
std::span<const char> HttpProxy::placed_before(std::string_view head, std::span<const char> body) {
  if (body.empty()) return {head.data(), head.size()};
  char* const begin = scratch_.data().data() + (body.data() - scratch_.data().data()) - head.size();
  std::memcpy(begin, head.data(), head.size());
  return {begin, head.size() + body.size()};
}

Task<Result<void>> HttpProxy::pass_tunnel(Trip& trip, std::span<char> after_head, StreamWriter& to_server) {
  Exchange& exchange = trip.exchange;
  // Only to what was asked for; anything else would let a server turn requests into a tunnel.
  if (!offers(exchange.head().upgrade, response_head_.upgrade)) co_return fail(ErrorKind::malformed, Side::server);
  // Nor may it switch before it has the whole request: the rest of that would come after the switch.
  if (!trip.upload_done) co_return fail(ErrorKind::malformed, Side::server);
  exchange.keep_alive = false;
  HeadBuilder out(scratch_.head());
  write_response_head(out, {response_head_, trip.route->heads->response_headers, ClientCoding::none, exchange, date(), new_session(trip),
                            limit_fields(trip)});
  if (out.overflowed()) co_return fail(ErrorKind::too_large, Side::server);
  trip.answered = true;
  trip.status = 101;
  trip.outcome = Outcome::tunnel;
  exchange.response_started = true;
  metrics_.tunnels.add();
  auto sent = exchange.response.send(placed_before(out.view(), after_head));
  if (sent) sent = to_server.send(exchange.take_leftover());
  if (!sent) co_return sent;
  Pace* const pace = trip.limits && trip.limits->paces() ? trip.limits.get() : nullptr;
  if (pace != nullptr) pace->spend(after_head.size(), scheduler_.now());
  const TunnelEnd end = co_await tunnel(exchange, trip.connection->stream(), to_server, {scratch_, pipes_},
                                        {trip.site().timeouts.tunnel_idle, trip.site().timeouts.body_idle, trip.total_deadline, pace});
  trip.response_bytes = end.server_bytes + after_head.size();
  if (!end.result) {
    if (end.result.error().kind == ErrorKind::timed_out) count_timeout(trip, Limit::tunnel_idle_timeout);
    // Both sides must see that it did not end in order.
    exchange.broken_off = true;
    trip.connection->stream().reset_on_close();
  }
  co_return end.result;
}

}  // namespace steelyard
