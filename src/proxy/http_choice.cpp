// Which server an exchange goes to, whether another one is asked after a failure, and what the pool learns from a try.
#include <algorithm>
#include <array>

#include "base/ascii.hpp"
#include "base/hash.hpp"
#include "decide/health/failure.hpp"
#include "proxy/http_proxy.hpp"
#include "wire/http/cookie.hpp"

namespace steelyard {
namespace {

// The same in every process, so that several proxies agree.
std::uint64_t hash_of(std::string_view text) { return KeyedHash(0)(text); }

std::optional<std::string_view> find_key(const http::RequestHead& head, std::string_view path, const balance::HashKeyOptions& key) {
  using Source = balance::HashKeyOptions::Source;
  switch (key.source) {
    case Source::client: return std::nullopt;
    case Source::path: return path;
    case Source::query: return http::find_parameter(head.query, key.name);
    case Source::cookie: return http::find_cookie(head.fields, key.name);
    case Source::header:
      for (const http::Field& field : head.fields.all()) {
        if (equals_ignoring_case(field.name, key.name)) return field.value;
      }
      return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

// What a choice goes by beside the servers' state.
void HttpProxy::identify(Trip& trip) const {
  const PoolOptions& options = trip.pool->options();
  const Sessions* const sessions = trip.pool->sessions();
  if (options.algorithm == Algorithm::ip_hash || options.algorithm == Algorithm::hash) trip.key_hash = trip.exchange.client.ip.hash();
  const bool by_key = options.algorithm == Algorithm::hash && options.hash_key.source != balance::HashKeyOptions::Source::client;
  if (!by_key && sessions == nullptr) return;
  const http::RequestHead& head = trip.exchange.head();
  if (by_key) {
    const auto key = find_key(head, trip.path.empty() ? head.path : trip.path.view(), options.hash_key);
    if (key) trip.key_hash = hash_of(*key);
  }
  if (sessions != nullptr) {
    const auto value = http::find_cookie(head.fields, sessions->cookie());
    if (value) trip.session = sessions->server_of(*value);
  }
}

// Whether the whole request could be sent once more without doing harm twice (RFC 9110 §9.2.2).
bool HttpProxy::is_repeatable(const Trip& trip) const {
  return trip.replayable && !trip.answered && (http::is_idempotent(trip.exchange.method) || trip.route->repeat_any);
}

Result<void> HttpProxy::take_place(Trip& trip, const PickRequest& request, PoolView::Turn turn) {
  auto place = trip.pool->take(request, scheduler_.now(), turn);
  if (!place) return std::unexpected(why_no_place(trip, place.error()));
  trip.place = std::move(*place);
  return {};
}

Task<Result<void>> HttpProxy::wait_for_place(Trip& trip) {
  Exchange& exchange = trip.exchange;
  WaitQueue& queue = trip.pool->pool().queue();
  // By the time that it is this request's turn, a server that could not be reached may be back.
  PickRequest request = trip.pick_request(trip.exchange.body.done() && is_repeatable(trip));
  std::array<Server*, tries_max> reached{};
  std::size_t reached_count = 0;
  for (std::size_t i = 0; i < trip.failed_count(); ++i) {
    if (trip.failed->why[i].reached) reached[reached_count++] = trip.failed->servers[i];
  }
  request.tried = std::span(reached).first(reached_count);
  using Takes = WaitQueue::Ticket::Takes;
  WaitQueue::Ticket ticket = trip.pool->ticket(reached_count == 0 ? Takes::any_place : Takes::some_places, request.demand);
  const WaitQueue::Entry entry = queue.enter(ticket);
  if (entry == WaitQueue::Entry::full) {
    metrics_.hit(Limit::queue_max);
    co_return fail(ErrorKind::overloaded);
  }
  metrics_.queued.add();
  const Instant begun = scheduler_.now();
  exchange.fiber.set_deadline(std::min(begun + trip.pool->options().queue.queue_timeout, trip.total_deadline));
  exchange.response.stream().watch();
  Result<void> result = fail(ErrorKind::overloaded);
  if (entry == WaitQueue::Entry::first) result = take_place(trip, request, PoolView::Turn::mine);
  while (!result && result.error().kind == ErrorKind::overloaded) {
    const WaitResult waited = co_await ticket.turn();
    if (waited == WaitResult::cancelled) {
      result = fail(ErrorKind::cancelled);
    } else if (waited == WaitResult::timed_out) {
      count_timeout(trip, Limit::queue_timeout);
      result = fail(ErrorKind::out_of_turn);
    } else {
      result = take_place(trip, request, PoolView::Turn::mine);
      if (!result && result.error().kind == ErrorKind::overloaded) queue.reenter(ticket);
    }
  }
  if (result) ticket.used();
  trip.queue_time += scheduler_.now() - begun;
  co_return result;
}

// The Set-Cookie that leads the client back to its server, where its cookie does not do that already.
std::string_view HttpProxy::new_session(const Trip& trip) const {
  const Sessions* const sessions = trip.pool->sessions();
  if (sessions == nullptr) return {};
  // Its server was only full, or has failed this once.
  if (trip.session != nullptr && trip.pool->keeps_session(*trip.session)) return {};
  return sessions->set_cookie(trip.server());
}

// After the try under way has failed, or instead of waiting for it any longer: a place at another server, if the request may have
// one more. A place that must be waited for is one only to who has nothing better.
HttpProxy::Another HttpProxy::take_another(Trip& trip, Failed failed, MayWait may_wait) {
  const RetryOptions& retries = trip.pool->options().retries;
  const std::size_t tries_allowed = std::min<std::size_t>(retries.tries_max, tries_max);
  if (trip.failed_count() + 1 >= tries_allowed) return Another::none;
  if (!trip.failed) trip.failed = std::make_unique<FailedServers>();
  FailedServers& servers = *trip.failed;
  servers.servers[servers.count] = trip.place.server();
  servers.kept[servers.count] = trip.server().shared_from_this();
  servers.why[servers.count++] = failed;
  auto place = trip.pool->take(trip.pick_request(true), scheduler_.now());
  const bool later = !place && may_wait == MayWait::yes && (place.error() == NoPlace::full || place.error() == NoPlace::outdated);
  const bool found = place || later;
  const bool charged = found && trip.pool->charge_retry(scheduler_.now());
  if (found && !charged) metrics_.hit(Limit::retry_budget);
  if (!charged) {
    --servers.count;
    return Another::none;
  }
  if (!place) return Another::later;
  trip.next = std::move(*place);
  return Another::taken;
}

// Whether an answer with `status` is asked for again elsewhere; then there is a place for that.
bool HttpProxy::is_retried(Trip& trip, int status) {
  if (!includes(trip.pool->options().retries.on_statuses, status) || !trip.upload_done || !is_repeatable(trip)) return false;
  return take_another(trip, {ErrorKind::rejected, static_cast<std::uint16_t>(status)}, MayWait::no) == Another::taken;
}

// What a try has shown of its server.
void HttpProxy::report(const Trip& trip, const Result<void>& result) const {
  Server& server = trip.server();
  const bool asked = trip.place.choice() == Choice::probe || trip.place.choice() == Choice::last_resort;
  const bool rejected = !result && result.error().kind == ErrorKind::rejected;
  if (result || rejected) {
    const int status = rejected ? result.error().os_code : trip.status;
    if (!speaks_against_server(status)) return trip.pool->on_try(server, {}, asked, moment());
    connections_.metrics_of(server).error_statuses.add();
    server.load.estimate.on_failure(scheduler_.now());
    return trip.pool->on_try(server, {TryVerdict::error_status, status}, asked, moment());
  }
  const Error& error = result.error();
  // A kept connection that had gone stale is nobody's fault.
  if (!is_servers_fault(error) || error.retry == Retry::fresh_connection) return;
  server.load.estimate.on_failure(scheduler_.now());
  if (!trip.connected) return trip.pool->pool().on_unreachable(server, in_words(error.kind, 0), moment());
  trip.pool->on_try(server, broken(error.kind), asked, moment());
}

}  // namespace steelyard
