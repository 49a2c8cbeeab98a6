// What a request is counted by, and what its client is told when it is over a limit. The limits are asked by LimitGate.
#include <string>

#include "decide/policy/demand.hpp"
#include "proxy/forwarded.hpp"
#include "proxy/http_proxy.hpp"
#include "proxy/limit_gate.hpp"

namespace steelyard {
namespace {

using quota::KeyPart;

}  // namespace

class HttpProxy::Counted final : public LimitSubject {
 public:
  explicit Counted(Trip& trip) : trip_(trip) {}

  IpAddress client() override { return client_behind(trip_.site().forwarded, trip_.exchange.head().fields, trip_.exchange.client.ip); }

  std::optional<std::string_view> value(const KeyPart& part) override {
    const http::RequestHead& head = trip_.exchange.head();
    switch (part.source) {
      case KeyPart::Source::client: break;
      case KeyPart::Source::path: return path(head);
      case KeyPart::Source::method: return head.method_text;
      case KeyPart::Source::value: return read(part.from, head);
      case KeyPart::Source::policy: return policy(head);
    }
    return std::nullopt;
  }

 private:
  [[nodiscard]] std::string_view path(const http::RequestHead& head) const { return trip_.path.empty() ? head.path : trip_.path.view(); }

  std::optional<std::string_view> policy(const http::RequestHead& head) {
    if (trip_.pool == nullptr || !trip_.pool->options().policy) return std::nullopt;
    const policy::PolicyOptions& policy = *trip_.pool->options().policy;
    if (policy.from.kind == policy::SourceOptions::Kind::json) return std::nullopt;  // the body has not been read
    const auto demanded = read(policy.from, head);
    return demanded || policy.value_if_absent.empty() ? demanded : std::string_view(policy.value_if_absent);
  }

  std::optional<std::string_view> read(const policy::SourceOptions& from, const http::RequestHead& head) {
    const policy::Reading reading = policy::read_head(from, head, path(head), memory_);
    return reading.kind == policy::Reading::Kind::found ? std::optional(reading.value) : std::nullopt;
  }

  Trip& trip_;
  std::string memory_;
};

bool HttpProxy::is_limited(const Trip& trip) {
  const bool by_route = trip.route != nullptr && trip.route->limits != 0;
  return by_route || !trip.site().limits_of_listener(trip.exchange.listener).empty();
}

Task<bool> HttpProxy::pass_limits(Trip& trip) {
  const Site& site = trip.site();
  Counted counted(trip);
  LimitGate gate(counted, trip.in_use, views_.worker(), scheduler_);
  const bool passes = co_await gate.pass(site.limits_of_listener(trip.exchange.listener), site.limits_of(trip.route), trip.total_deadline);
  if (passes) {
    gate.keep(trip.limits);
    // What earlier answers were sent ahead of their pace is waited for now.
    const bool paced = trip.limits && trip.limits->paces();
    if (paced) {
      const auto waited = co_await keep_pace(trip.exchange.fiber, trip.exchange.response, *trip.limits, 0, trip.total_deadline);
      if (!waited && waited.error().kind == ErrorKind::cancelled) co_return give_up(trip);
      if (!waited) {
        co_await answer(trip, answer_to(waited.error()));
        co_return false;
      }
    }
  } else if (gate.refused_by() != nullptr && trip.exchange.fiber.cause() == Cause::none) {
    co_await refuse_over_limit(trip, gate);
  } else {
    co_return give_up(trip);
  }
  co_return passes;
}

// Nobody waits for an answer.
bool HttpProxy::give_up(Trip& trip) {
  trip.outcome = Outcome::client_gone;
  trip.failure = "the client went away";
  trip.exchange.broken_off = true;
  return false;
}

Task<void> HttpProxy::refuse_over_limit(Trip& trip, const LimitGate& gate) {
  if (!trip.limits) trip.limits = std::make_unique<LimitUse>();
  trip.limits->refused_by = gate.refused_by();
  if (gate.unreachable()) {
    co_await answer(trip, {503, "a limit on requests cannot be counted: its store does not answer (stores.NAME.when_unreachable)", true});
    co_return;
  }
  Exchange& exchange = trip.exchange;
  if (!exchange.body.done() || exchange.draining) exchange.keep_alive = false;
  HeadBuilder out(scratch_.head());
  trip.response_bytes = write_over_limit(out, {.limit = gate.refused_by()->options,
                                               .retry_after_s = gate.retry_after_s(),
                                               .fields = gate.fields(quota::FieldsOn::refused),
                                               .exchange = exchange,
                                               .request_id = trip.request_id,
                                               .date = date()});
  trip.status = 429;
  trip.outcome = Outcome::refused;
  trip.failure = "over a limit on requests";
  co_await send_answer(trip, out.view());
}

}  // namespace steelyard
