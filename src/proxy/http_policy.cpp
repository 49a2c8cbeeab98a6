// What a request demands of its server, where its pool has a policy: read before a place is taken, and read anew when the policy has
// changed since. The choice itself is PoolView's, which gives no place at a server that does not promise what is demanded.
#include <algorithm>
#include <string>

#include "decide/policy/demand.hpp"
#include "proxy/http_proxy.hpp"

namespace steelyard {
namespace {

// As often a policy may change before a request has found its place.
constexpr int readings_max = 8;

// After so many reads without waiting, others get their turn.
constexpr unsigned turn_reads_max = 8;

using PolicySource = policy::SourceOptions::Kind;

}  // namespace

void HttpProxy::Demanded::set(std::string_view label, std::string_view value) {
  texts.release();
  texts.append(label);
  texts.append(value);
  label_bytes = label.size();
}

Task<Result<void>> HttpProxy::find_place_by_policy(Trip& trip) {
  if (!trip.demanded) trip.demanded = std::make_unique<Demanded>();
  Result<void> result = fail(ErrorKind::outdated);
  for (int readings = 0; readings < readings_max && !result && result.error().kind == ErrorKind::outdated; ++readings) {
    trip.pool->refresh();
    const auto& policy = trip.pool->options().policy;
    if (policy && policy->from.kind == PolicySource::json && !trip.exchange.body.done()) {
      const auto received = co_await receive_body(trip, policy->body_bytes_max);
      if (!received) co_return received;
    }
    // The options may be others by now.
    result = read_demand(trip);
    if (!result) continue;
    result = take_place(trip, trip.pick_request(trip.exchange.body.done() && is_repeatable(trip)), PoolView::Turn::none);
    if (!result && result.error().kind == ErrorKind::overloaded) result = co_await wait_for_place(trip);
  }
  if (!result && result.error().kind == ErrorKind::policy_unmet) metrics_.policy_unmet.add();
  co_return result;
}

// The whole body, which is then sent from memory as often as needed. The client may wait to be asked for it, which the server cannot do
// yet.
Task<Result<void>> HttpProxy::receive_body(Trip& trip, std::uint64_t bytes_max) {
  Exchange& exchange = trip.exchange;
  Buffer& received = trip.demanded->body;
  const RelayBounds limits = bounds(trip);
  bytes_max = std::min(bytes_max, limits.body_bytes_max);
  const http::RequestHead& head = exchange.head();
  const bool too_large = head.body.kind == http::BodyKind::length && head.body.length > bytes_max;
  if (!too_large && head.expects_continue && exchange.body_start.empty()) {
    auto asked = exchange.response.send(std::string_view("HTTP/1.1 100 Continue\r\n\r\n"));
    if (asked && !exchange.response.empty()) asked = co_await flush(exchange.response, limits);
    if (!asked) co_return asked;
  }
  received.append(exchange.body_start);
  unsigned reads = 0;
  while (!too_large && !exchange.body.done() && received.size() <= bytes_max) {
    const auto piece = exchange.body.read(scratch_.data());
    WaitResult waited = WaitResult::done;
    if (piece) {
      exchange.keep_leftover(piece->leftover);
      if (received.size() + piece->payload.size() > bytes_max) break;
      received.append(piece->payload);
      if (++reads % turn_reads_max == 0) waited = co_await yield_turn();
    } else if (piece.error().kind == ErrorKind::would_block) {
      exchange.fiber.set_deadline(std::min(scheduler_.now() + limits.idle_timeout, limits.total_deadline));
      waited = co_await exchange.body.stream().readable();
    } else {
      co_return std::unexpected(piece.error());
    }
    if (waited == WaitResult::timed_out) count_timeout(trip, Limit::body_idle_timeout);
    if (waited != WaitResult::done) co_return fail(error_of(waited), Side::client);
  }
  if (!exchange.body.done() || exchange.body.payload_bytes() > bytes_max) co_return refuse_large_body(trip);
  // Events that woke this told nobody else that the client has gone.
  if (is_gone(trip)) co_return fail(ErrorKind::cancelled, Side::client);
  exchange.body_start = received.bytes();
  trip.demanded->body_received = true;
  trip.request.release();
  co_return Result<void>{};
}

Result<void> HttpProxy::refuse_large_body(Trip& trip) {
  metrics_.hit(Limit::body_bytes);
  trip.demanded->reason = "the request's body, which names its policy, is larger than allowed (policy.body_bytes_max, body_bytes_max)";
  return fail(ErrorKind::too_large, Side::client);
}

// By the pool's options as they are now.
Result<void> HttpProxy::read_demand(Trip& trip) {
  Demanded& demanded = *trip.demanded;
  demanded.set("", "");
  trip.pool->refresh();
  const auto& policy = trip.pool->options().policy;
  if (!policy) return {};
  Exchange& exchange = trip.exchange;
  std::string memory;
  policy::Reading reading;
  if (policy->from.kind == PolicySource::json) {
    if (!exchange.body.done()) return fail(ErrorKind::outdated);
    const std::span<const char> body = exchange.body_start;
    if (body.size() > policy->body_bytes_max) return refuse_large_body(trip);
    reading = policy::read_json_body(policy->from.name, {body.data(), body.size()}, memory);
  } else {
    const http::RequestHead& head = exchange.head();
    reading = policy::read_head(policy->from, head, trip.path.empty() ? head.path : trip.path.view(), memory);
  }
  if (reading.kind == policy::Reading::Kind::absent) reading.value = policy->value_if_absent;
  demanded.set(policy->label, reading.value);
  if (reading.kind == policy::Reading::Kind::ambiguous) {
    metrics_.policy_ambiguous.add();
    demanded.reason = reading.reason;
    return fail(ErrorKind::policy_ambiguous);
  }
  if (!reading.value.empty()) return {};
  metrics_.policy_absent.add();
  return fail(ErrorKind::policy_absent);
}

Error HttpProxy::why_no_place(const Trip& trip, NoPlace why) {
  switch (why) {
    case NoPlace::full: return {ErrorKind::overloaded};
    case NoPlace::outdated: return {ErrorKind::outdated};
    case NoPlace::unmet: {
      const auto& policy = trip.pool->options().policy;
      return {ErrorKind::policy_unmet, Side::local, Retry::never, policy ? policy->unmet_status : 503};
    }
    case NoPlace::no_server: break;
  }
  return {ErrorKind::no_server};
}

Answer HttpProxy::answer_for(const Trip& trip, const Error& error) {
  Answer answer = answer_to(error);
  if (trip.demanded && trip.demanded->reason != nullptr) answer.reason = trip.demanded->reason;
  return answer;
}

// Whose views live as long as the trip.
void HttpProxy::record_policy(const Trip& trip, AccessRecord& record, std::span<PolicyMet, policy_also_max> also) {
  const Demanded& demanded = *trip.demanded;
  record.policy_label = demanded.label();
  record.policy = demanded.value();
  const auto promise_of = [&](const Server& server) { return server.promise(demanded.value()).value_or(std::string_view{}); };
  if (trip.place) record.policy_met = promise_of(trip.server());
  std::size_t count = 0;
  const auto add = [&](const Server& server) {
    if (count < also.size()) also[count++] = {server.id, promise_of(server)};
  };
  for (std::size_t i = 0; i < trip.failed_count(); ++i) {
    if (trip.failed->why[i].reached) add(*trip.failed->servers[i]);
  }
  for (const auto& server : demanded.also) add(*server);
  record.policy_also = also.first(count);
}

}  // namespace steelyard
