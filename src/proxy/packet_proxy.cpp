// The outline of a packet's way. What happens at a server is in packet_try.cpp.
#include "proxy/packet_proxy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <variant>

#include "decide/health/failure.hpp"
#include "observe/message.hpp"
#include "proxy/relay.hpp"
#include "wire/json/canonical.hpp"

namespace steelyard {
namespace {

// How often a packet's demand is read anew because the pool's policy has changed just then.
constexpr int rereads_max = 4;

std::string_view kind_of(const PacketExchange& exchange) {
  switch (exchange.message.index()) {
    case 1: return "setup";
    case 2: return "ack";
    default: return "data";
  }
}

const packet::Data& data_of(const PacketExchange& exchange) { return std::get<packet::Data>(exchange.message); }

// The control thread's answer to an announcement, for the fiber that waits for it. Shared by both: the fiber may have ended before.
class Decision {
 public:
  class Wait final : public Operation {
   public:
    explicit Wait(Decision& decision) : decision_(decision) {}
    bool await_ready() noexcept { return decision_.decided; }
    template <typename CallerPromise>
    bool await_suspend(std::coroutine_handle<CallerPromise> caller) noexcept {
      if (!suspend(*caller.promise().fiber, caller)) return false;
      decision_.waiting_ = this;
      return true;
    }
    WaitResult await_resume() noexcept { return result_; }
    void withdraw() override { decision_.waiting_ = nullptr; }

   private:
    Decision& decision_;
  };

  Wait wait() { return Wait(*this); }
  void decide(std::string why_not) {
    decided = true;
    refusal = std::move(why_not);
    if (waiting_ != nullptr) std::exchange(waiting_, nullptr)->complete_later(WaitResult::done);
  }

  bool decided = false;
  std::string refusal;

 private:
  Wait* waiting_ = nullptr;
};

}  // namespace

PacketProxy::PacketProxy(SiteViews& views, Connections& connections, Connector& connector, Scratch& scratch, WorkerMetrics& metrics,
                         AccessChannel* log, PacketRegistrar* registrar)
    : views_(views),
      connections_(connections),
      connector_(connector),
      scheduler_(connector.scheduler()),
      scratch_(scratch),
      metrics_(metrics),
      log_(log),
      registrar_(registrar) {}

PacketProxy::Trip::Trip(PacketExchange& of, SiteViews& views) : exchange(of), in_use(views) {
  exchange.context = this;
  const auto& listeners = in_use.site().packet_listeners;
  const auto found = std::ranges::find(listeners, exchange.listener, &Site::PacketListener::listener);
  if (found == listeners.end()) return;
  listener = &*found;
  pool = &in_use.pool(listener->pool);
}

void PacketProxy::cut(const PacketExchange& exchange, const Server& server) {
  auto* const trip = static_cast<Trip*>(exchange.context);
  if (trip == nullptr || trip->place.server() != &server || !trip->connection) return;
  trip->cut = true;
  trip->connection->stream().break_off();
}

ExchangeView PacketProxy::describe(const PacketExchange& exchange, Instant now) {
  ExchangeView view{.client = exchange.client, .method = std::string(kind_of(exchange)), .age = now - exchange.start};
  if (const auto* const data = std::get_if<packet::Data>(&exchange.message)) view.request_id = data->source;
  const auto* const trip = static_cast<const Trip*>(exchange.context);
  if (trip == nullptr) return view;
  if (trip->pool != nullptr) view.pool = trip->pool->pool().name();
  if (trip->place) view.server = trip->server().id;
  view.tries = trip->tries;
  view.status = trip->status;
  return view;
}

Task<void> PacketProxy::serve(PacketExchange& exchange) {
  Trip trip(exchange, views_);
  metrics_.exchanges_active.add();
  Result<void> result;
  if (exchange.refusal) {
    // Nothing else may look at what could not be understood.
    co_await refuse(trip, exchange.refusal->status, exchange.refusal->reason);
  } else if (trip.listener == nullptr) {
    co_await refuse(trip, 503, "this listener has been removed");
  } else {
    bool goes_on = true;
    if (!trip.site().limits_of_listener(exchange.listener).empty()) goes_on = co_await pass_limits(trip);
    if (goes_on) result = co_await serve_message(trip);
    if (!result && trip.status == 0 && result.error().kind != ErrorKind::cancelled) {
      const Answer answer = answer_for(result.error());
      co_await refuse(trip, answer.status, answer.reason);
    }
  }
  // Every packet ends in the record, whatever became of it.
  settle(trip, result);
  record(trip);
  metrics_.exchanges_active.subtract();
}

// By what it is: a server's announcement, or a client's data.
Task<Result<void>> PacketProxy::serve_message(Trip& trip) {
  const packet::Message& message = trip.exchange.message;
  if (std::holds_alternative<packet::Setup>(message)) {
    co_await announce(trip);
    co_return Result<void>{};
  }
  if (std::holds_alternative<packet::Ack>(message)) {
    co_await refuse(trip, 400, "an ack is what servers answer; clients send data (type \"0\")");
    co_return Result<void>{};
  }
  const auto result = co_await forward(trip);
  co_return result;
}

// Servers one after the other, until one has answered or trying another would not be safe, or too much.
Task<Result<void>> PacketProxy::forward(Trip& trip) {
  trip.total_deadline = trip.exchange.start + trip.in_use.site().timeouts.total;
  json::write_canonical(trip.exchange.object, trip.request);
  trip.pool->count_request(scheduler_.now());
  // Who goes away while it waits gives up its place.
  trip.exchange.answer.stream().watch();
  Freshness freshness = Freshness::reuse;
  bool again = false;  // at the same server, after it had closed a kept connection
  Result<void> result = co_await take_place(trip);
  while (result) {
    ++trip.tries;
    if (message_enabled(LogLevel::debug)) {
      log_message(LogLevel::debug, "packet of {}: policy {} goes to server {}/{} ({}), try {}", data_of(trip.exchange).source,
                  data_of(trip.exchange).policy, trip.pool->pool().name(), trip.server().id, name(trip.place.choice()), trip.tries);
    }
    result = co_await try_server(trip, freshness);
    if (result || trip.status != 0) break;
    const Error error = result.error();
    if (error.kind == ErrorKind::outdated && !again && trip.tries < tries_max) {
      // Nothing was sent there, so this is no retry.
      trip.place.give_up();
      result = co_await take_place(trip);
      continue;
    }
    if (error.retry == Retry::fresh_connection) {
      metrics_.retries.add();
      freshness = Freshness::fresh;
      again = true;
      result = {};
      continue;
    }
    if (!goes_on(trip, error)) break;
    metrics_.failovers.add();
    again = false;
    trip.place.give_up();  // it might be the one that is waited for
    result = co_await take_place(trip);
    if (!result && result.error().kind != ErrorKind::cancelled) result = std::unexpected(error);
  }
  co_return result;
}

// A place at a server that promises what the packet demands. Nowhere else.
Task<Result<void>> PacketProxy::take_place(Trip& trip) {
  std::array<Server*, tries_max> tried{};
  for (std::size_t i = 0; i < trip.failed_count; ++i) tried[i] = trip.failed_servers[i].get();
  for (int read = 0; read < rereads_max; ++read) {
    trip.pool->refresh();
    const auto& policy = trip.pool->options().policy;
    if (!policy) break;
    trip.policy_label = policy->label;
    const PickRequest request{.key_hash = trip.exchange.client.ip.hash(),
                              .repeatable = trip.options().repeat_any,
                              .tried = std::span(tried).first(trip.failed_count),
                              .demand = policy::Demand{trip.policy_label, data_of(trip.exchange).policy}};
    auto place = trip.pool->take(request, scheduler_.now());
    if (place) {
      trip.place = std::move(*place);
      co_return Result<void>{};
    }
    switch (place.error()) {
      case NoPlace::no_server: co_return fail(ErrorKind::no_server);
      case NoPlace::unmet: co_return fail(ErrorKind::policy_unmet);
      case NoPlace::outdated: continue;
      case NoPlace::full: break;
    }
    const auto waited = co_await wait_for_place(trip, request);
    if (waited || waited.error().kind != ErrorKind::outdated) co_return waited;
  }
  co_return fail(ErrorKind::no_server);
}

Task<Result<void>> PacketProxy::wait_for_place(Trip& trip, PickRequest request) {
  WaitQueue& queue = trip.pool->pool().queue();
  using Takes = WaitQueue::Ticket::Takes;
  WaitQueue::Ticket ticket = trip.pool->ticket(request.tried.empty() ? Takes::any_place : Takes::some_places, request.demand);
  const WaitQueue::Entry entry = queue.enter(ticket);
  if (entry == WaitQueue::Entry::full) {
    metrics_.hit(Limit::queue_max);
    co_return fail(ErrorKind::overloaded);
  }
  metrics_.queued.add();
  const Instant begun = scheduler_.now();
  Fiber& fiber = trip.exchange.fiber;
  fiber.set_deadline(std::min(begun + trip.pool->options().queue.queue_timeout, trip.total_deadline));
  auto place = entry == WaitQueue::Entry::first ? trip.pool->take(request, scheduler_.now(), PoolView::Turn::mine)
                                                : std::expected<Place, NoPlace>(std::unexpected(NoPlace::full));
  while (!place && place.error() == NoPlace::full) {
    const WaitResult waited = co_await ticket.turn();
    if (waited == WaitResult::cancelled) co_return fail(ErrorKind::cancelled);
    if (waited == WaitResult::timed_out) {
      metrics_.hit(scheduler_.now() >= trip.total_deadline ? Limit::total_timeout : Limit::queue_timeout);
      co_return fail(ErrorKind::out_of_turn);
    }
    place = trip.pool->take(request, scheduler_.now(), PoolView::Turn::mine);
    if (!place && place.error() == NoPlace::full) queue.reenter(ticket);
  }
  trip.queue_time += scheduler_.now() - begun;
  if (!place) {
    co_return fail(place.error() == NoPlace::unmet      ? ErrorKind::policy_unmet
                   : place.error() == NoPlace::outdated ? ErrorKind::outdated
                                                        : ErrorKind::no_server);
  }
  ticket.used();
  trip.place = std::move(*place);
  co_return Result<void>{};
}

// Whether the packet may go to another server after `error`; then its last one is among those that have failed it.
bool PacketProxy::goes_on(Trip& trip, const Error& error) const {
  if (error.retry == Retry::never) return false;
  const std::size_t tries_allowed = std::min<std::size_t>(trip.pool->options().retries.tries_max, tries_max);
  if (trip.failed_count + 1 >= tries_allowed) return false;
  if (!trip.pool->charge_retry(scheduler_.now())) {
    metrics_.hit(Limit::retry_budget);
    return false;
  }
  trip.failed_servers[trip.failed_count] = trip.server().shared_from_this();
  trip.failures[trip.failed_count++] = in_words(error.kind, 0);
  return true;
}

// A server's announcement. It gets no answer; one that is refused has its connection closed, or is told why.
Task<void> PacketProxy::announce(Trip& trip) {
  const auto& setup = std::get<packet::Setup>(trip.exchange.message);
  const PacketRegistration by = trip.options().registration;
  if (by == PacketRegistration::off || registrar_ == nullptr) {
    co_await refuse(trip, 403, "this listener takes no registrations (listeners.registration)");
    co_return;
  }
  PacketAnnouncement announcement{.pool = trip.pool->pool().name(), .by = by, .address = trip.exchange.client.ip, .setup = setup};
  const auto decision = std::make_shared<Decision>();
  registrar_->announce(std::move(announcement), [decision, &connector = connector_](std::string refusal) {
    connector.post([decision, refusal = std::move(refusal)] { decision->decide(refusal); });
  });
  trip.exchange.fiber.set_deadline(scheduler_.now() + trip.in_use.site().timeouts.first_byte);
  const WaitResult waited = co_await decision->wait();
  if (waited == WaitResult::timed_out) {
    co_await refuse(trip, 503, "the registration was not decided in time (timeouts.first_byte)");
    co_return;
  }
  if (waited == WaitResult::cancelled) {
    // It may be registered all the same.
    trip.outcome = trip.exchange.fiber.cause() == Cause::shutdown ? Outcome::truncated : Outcome::client_gone;
    co_return;
  }
  if (!decision->refusal.empty()) {
    co_await refuse(trip, 403, decision->refusal);
    co_return;
  }
  trip.status = 200;
}

// Ends the connection, after a word about why where the listener gives one.
Task<void> PacketProxy::refuse(Trip& trip, int status, std::string reason) {
  PacketExchange& exchange = trip.exchange;
  exchange.keep_open = false;
  trip.status = static_cast<std::uint16_t>(status);
  trip.outcome = Outcome::refused;
  trip.failure = std::move(reason);
  if (trip.listener == nullptr || !trip.options().says_why) co_return;
  text_ = fmt::format("{{\"status\": {}, \"error\": ", status);
  json::write_string(trip.failure, text_);
  text_ += '}';
  trip.answer_bytes = text_.size();
  if (trip.limits) trip.limits->on_last_bytes();
  auto sent = exchange.answer.send(std::string_view(text_));
  if (sent && !exchange.answer.empty()) {
    sent = co_await flush(exchange.answer, {trip.in_use.site().timeouts.body_idle, trip.total_deadline, unlimited});
  }
  if (!sent) exchange.broken_off = true;
}

void PacketProxy::settle(Trip& trip, const Result<void>& result) const {
  if (result) return;
  PacketExchange& exchange = trip.exchange;
  const Error& error = result.error();
  const bool ended = exchange.fiber.cause() == Cause::shutdown;
  if (error.kind == ErrorKind::cancelled || error.side == Side::client) {
    trip.outcome = ended ? Outcome::truncated : Outcome::client_gone;
    trip.failure = ended ? "cut at the end of the drain" : "the client went away";
    exchange.broken_off = true;
  }
  if (trip.cut) trip.failure = "cut: the server was to go, and the deadline for what was under way there has passed";
}

void PacketProxy::record(const Trip& trip) {
  const PacketExchange& exchange = trip.exchange;
  AccessRecord record;
  record.status = trip.status;
  record.outcome = trip.outcome;
  record.request_bytes = exchange.object.size();
  record.response_bytes = trip.answer_bytes;
  record.duration = scheduler_.now() - exchange.start;
  const bool setup = !exchange.refusal && std::holds_alternative<packet::Setup>(exchange.message);
  // Announcements would blur what was done for clients.
  if (setup) {
    (trip.outcome == Outcome::refused ? metrics_.packet_setups_refused : metrics_.packet_setups).add();
  } else {
    metrics_.packets.add();
    metrics_.record(record);
  }
  if (log_ == nullptr || !log_->enabled()) return;

  record.unix_us = scheduler_.unix_us() - record.duration / 1us;
  record.client = exchange.client.ip;
  record.client_port = exchange.client.port;
  record.protocol = "packet";
  if (!exchange.refusal) {
    record.method = kind_of(exchange);
    if (const auto* const data = std::get_if<packet::Data>(&exchange.message)) record.request_id = data->source;
    if (setup) record.target = std::get<packet::Setup>(exchange.message).id;
  }
  if (trip.pool != nullptr) {
    record.pool = trip.pool->pool().name();
    record.algorithm = name(trip.pool->options().algorithm);
  }
  if (!trip.policy_label.empty()) {
    record.policy_label = trip.policy_label;
    record.policy = data_of(exchange).policy;
  }
  if (trip.place) {
    record.server = trip.server().id;
    record.policy_met = trip.server().promise(data_of(exchange).policy).value_or("");
    if (trip.place.choice() != Choice::algorithm) record.choice = name(trip.place.choice());
  }
  std::array<FailedTry, tries_max> failed_tries;
  std::array<PolicyMet, tries_max> also;
  for (std::size_t i = 0; i < trip.failed_count; ++i) {
    const Server& failed = *trip.failed_servers[i];
    failed_tries[i] = {failed.id, trip.failures[i]};
    also[i] = {failed.id, failed.promise(data_of(exchange).policy).value_or("")};
  }
  record.policy_also = std::span(also).first(trip.failed_count);
  record.failed_tries = std::span(failed_tries).first(trip.failed_count);
  record.tries = trip.tries;
  if (trip.limits && trip.limits->refused_by != nullptr) record.limit = trip.limits->refused_by->options.name;
  record.failure = trip.failure;
  record.queue_time = trip.queue_time;
  record.connect_time = trip.connect_time;
  record.first_byte_time = trip.first_byte_time;
  log_->write(record);
}

}  // namespace steelyard
