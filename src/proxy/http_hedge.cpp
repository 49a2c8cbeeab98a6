// Hedging: when a request gets a second try beside its first, and which of the two answers it.
#include <algorithm>
#include <array>

#include "decide/health/failure.hpp"
#include "proxy/http_proxy.hpp"

namespace steelyard {

// Not for a request that only its server can take, nor for what may become a tunnel.
Instant HttpProxy::hedge_time(const Trip& trip) const {
  const PoolOptions& pool = trip.pool->options();
  if (!pool.hedging || trip.hedge_won || trip.hedge || !trip.exchange.body.done() || !is_repeatable(trip)) return never;
  if (trip.failed_count() + 1 >= pool.retries.tries_max || is_for_one_try(trip)) return never;
  const HedgeOptions& options = *pool.hedging;
  if (options.after) return trip.try_start + *options.after;
  const Duration p95 = trip.pool->pool().answer_time_p95().value();
  if (p95 == Duration{0}) return never;
  return trip.try_start + std::max(p95, options.after_min);
}

void HttpProxy::start_hedge(Trip& trip) {
  if (!trip.exchange.head().upgrade.empty()) return;
  PickRequest request = trip.pick_request(true);
  std::array<Server*, tries_max> tried{};
  std::ranges::copy(request.tried, tried.begin());
  tried[request.tried.size()] = trip.place.server();
  request.tried = std::span(tried).first(request.tried.size() + 1);
  auto place = trip.pool->take(request, scheduler_.now());
  if (!place) return;
  if (!trip.pool->charge_retry(scheduler_.now())) return metrics_.hit(Limit::retry_budget);
  metrics_.hedges.add();
  ++trip.tries;
  connections_.metrics_of(*place->server()).requests.add();
  trip.hedge = std::make_unique<Hedge>(connections_, scheduler_, trip.exchange.fiber, std::move(*place), trip.request.view());
  trip.hedge->start(std::min(scheduler_.now() + trip.site().timeouts.connect, trip.total_deadline));
}

// The first try's server has shown at least how slow it is.
void HttpProxy::go_over_to_hedge(Trip& trip) {
  trip.server().load.estimate.on_answer(scheduler_.now() - trip.try_start, trip.active, scheduler_.now());
  if (trip.demanded) trip.demanded->also.push_back(trip.server().shared_from_this());
  trip.connection = trip.hedge->take_connection();
  trip.place = trip.hedge->take_place();
  trip.try_start = trip.hedge->begun();
  trip.active = trip.server().load.active.load(std::memory_order_relaxed);
  trip.hedge_won = true;
}

Task<void> HttpProxy::end_hedge(Trip& trip) {
  if (!trip.hedge_won) {
    metrics_.hedges_wasted.add();
    if (trip.demanded && trip.hedge->connected()) trip.demanded->also.push_back(trip.hedge->server().shared_from_this());
    if (!trip.hedge->connected() && is_servers_fault(trip.hedge->connected().error())) {
      trip.pool->pool().on_unreachable(trip.hedge->server(), in_words(trip.hedge->connected().error().kind, 0), moment());
    }
  }
  trip.hedge->cancel();
  co_await trip.hedge->join();
  trip.hedge.reset();
}

}  // namespace steelyard
