// A pool in simulated time: requests that arrive whether or not earlier ones were answered, servers with slots and a queue that
// are slow, stall, fail or restart, and a policy that chooses among them. A seed decides everything; the requests, their times and
// their work, are the same for every policy. The balancer hears of an answer a hop later than the server gave it.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <deque>
#include <limits>
#include <optional>
#include <queue>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/prng.hpp"
#include "base/time.hpp"
#include "decide/balance/estimate.hpp"
#include "decide/balance/slow_start.hpp"
#include "decide/balance/smooth_schedule.hpp"
#include "decide/balance/view.hpp"

namespace steelyard::balance::simulated {

inline constexpr Duration hop = 50us;

struct ServerModel {
  std::uint32_t weight = 1;
  std::uint32_t slots = 4;
  double speed = 1;  // work is divided by it
  Duration added{0};
  bool fails_fast = false;  // answers 500 after a millisecond
  double fails = 0;
  bool jumps = false;
  Duration stall_every{0};  // 0: never
  Duration stall_lasts{0};
  std::optional<Instant> restarts{};  // what was under way is cut; refuses while it is away; then slow
  Duration away{0};
  Duration warm_up{0};
  double cold_speed = 1;  // times speed, at the beginning of the warm-up
};

enum class Work : std::uint8_t { exponential, lognormal, two_sizes };

struct Scenario {
  std::string name;
  std::vector<ServerModel> servers;
  double rate = 0;      // requests a second
  std::size_t odd = 0;  // the server of which the outcome tells the share; others may be like it
  Duration mean_work = 10ms;
  Work work = Work::exponential;
  bool ejection = true;
  Duration check_delay{0};  // from the end of a restart until the server is taken back
  std::size_t workers = 1;
  Duration begins = 2s;  // what came due earlier is served but not counted
  Duration lasts = 60s;
};

struct SimulatedServer {
  ServerModel model;
  Estimate estimate;
  std::uint32_t active = 0;  // as the balancer counts
  // What the pool around a policy does about failures: after so many in a row the server is ejected, twice as long each time;
  // then one request probes it.
  std::uint32_t failures_in_row = 0;
  std::uint32_t ejections = 0;
  Instant ejected_until{INT64_MIN};
  bool on_probation = false;
  std::optional<Instant> back_since;  // beginning of its slow start

  std::vector<std::uint32_t> in_service;
  std::deque<std::uint32_t> queue;
  std::uint64_t picks = 0;  // while it counts
};

class SimulatedView {
 public:
  SimulatedView(std::span<const SimulatedServer> servers, std::span<const std::uint32_t> tried, Instant now, bool slow_start)
      : servers_(servers), tried_(tried), now_(now), slow_start_(slow_start) {}

  std::size_t size() const { return servers_.size(); }
  std::uint32_t weight(std::size_t position) const {
    const SimulatedServer& server = servers_[position];
    const std::uint32_t full = server.model.weight * 1024;
    if (!slow_start_ || !server.back_since) return full;
    return static_cast<std::uint32_t>(full * slow_start_share(now_ - *server.back_since, {}));
  }
  std::uint32_t active(std::size_t position) const { return servers_[position].active; }
  const Estimate& estimate(std::size_t position) const { return servers_[position].estimate; }
  bool may_take(std::size_t position) const {
    const SimulatedServer& server = servers_[position];
    if (now_ < server.ejected_until || (server.on_probation && server.active > 0)) return false;
    return std::ranges::find(tried_, position) == tried_.end();
  }

 private:
  std::span<const SimulatedServer> servers_;
  std::span<const std::uint32_t> tried_;
  Instant now_;
  bool slow_start_;
};

class Policy {
 public:
  explicit Policy(bool uses_slow_start) : slow_start(uses_slow_start) {}
  virtual ~Policy() = default;
  virtual std::optional<std::size_t> pick(const SimulatedView& view, Instant now, std::size_t worker) = 0;
  const bool slow_start;
};

struct Outcome {
  std::vector<float> latencies_ms;  // of good answers, from the time when the request was due
  std::vector<float> excess_ms;     // the same without the request's own work
  std::uint64_t requests = 0;
  std::uint64_t errors = 0;
  double odd_share = 0;  // of all tries

  double errors_share() const { return static_cast<double>(errors) / static_cast<double>(requests); }
};

// Sorts in part.
inline double percentile(std::vector<float>& values, double share) {
  if (values.empty()) return 0;
  const auto at = values.begin() + static_cast<std::ptrdiff_t>(share * static_cast<double>(values.size() - 1));
  std::ranges::nth_element(values, at);
  return *at;
}

class Simulation {
 public:
  Simulation(const Scenario& scenario, Policy& policy, std::uint64_t seed)
      : scenario_(scenario), policy_(policy), arrivals_(seed), servers_(scenario.servers.size()) {
    for (std::uint32_t i = 0; i < servers_.size(); ++i) {
      servers_[i].model = scenario.servers[i];
      if (servers_[i].model.restarts && *servers_[i].model.restarts > Instant{}) at(*servers_[i].model.restarts, Event::Kind::restart, i);
    }
  }

  Outcome run() {
    next_arrival();
    while (!events_.empty()) {
      const Event event = events_.top();
      events_.pop();
      now_ = event.at;
      switch (event.kind) {
        case Event::Kind::arrival:
          next_arrival();
          try_somewhere(event.subject);
          break;
        case Event::Kind::received: receive(event.subject); break;
        case Event::Kind::served: end_service(event.subject, event.service); break;
        case Event::Kind::answered: hear_answer(event.subject); break;
        case Event::Kind::failed: hear_failure(event.subject); break;
        case Event::Kind::restart: cut_all(servers_[event.subject]); break;
      }
    }
    std::uint64_t picks = 0;
    for (const SimulatedServer& server : servers_) picks += server.picks;
    outcome_.odd_share = static_cast<double>(servers_[scenario_.odd].picks) / static_cast<double>(std::max<std::uint64_t>(picks, 1));
    return std::move(outcome_);
  }

 private:
  static constexpr std::size_t tries_max = 3;
  static constexpr std::uint32_t failures_to_eject = 5;
  static constexpr Duration first_ejection = 5s;

  struct Request {
    Instant due;
    Duration work;
    std::uint32_t worker;
    std::array<std::uint32_t, tries_max> tried{};  // the last is the one that it is at
    std::uint32_t tries = 0;
    Instant try_began;
    std::uint32_t active_at_start = 0;
    std::uint32_t service = 0;  // counts, so that the end of one that was cut is known as such
    bool refused = false;       // and not failed by an answer: may be tried elsewhere
  };
  struct Event {
    enum class Kind : std::uint8_t { arrival, received, served, answered, failed, restart };
    Instant at;
    std::uint64_t order;
    Kind kind;
    std::uint32_t subject;
    std::uint32_t service;
    friend bool operator>(const Event& a, const Event& b) { return std::pair(a.at, a.order) > std::pair(b.at, b.order); }
  };

  void at(Instant when, Event::Kind kind, std::uint32_t subject, std::uint32_t service = 0) {
    events_.push({when, order_++, kind, subject, service});
  }

  double uniform() { return (static_cast<double>(arrivals_.next() >> 11U) + 0.5) * 0x1p-53; }
  Duration exponential(double mean_ns) { return Duration{static_cast<std::int64_t>(-std::log(uniform()) * mean_ns)}; }

  Duration draw_work() {
    const auto mean_ns = static_cast<double>(scenario_.mean_work.count());
    switch (scenario_.work) {
      case Work::exponential: return exponential(mean_ns);
      case Work::two_sizes: return Duration{static_cast<std::int64_t>(uniform() < 0.01 ? 50.5 * mean_ns : 0.5 * mean_ns)};
      case Work::lognormal: break;
    }
    constexpr double sigma = 1.5;
    const double normal = std::sqrt(-2 * std::log(uniform())) * std::cos(2 * M_PI * uniform());
    return Duration{static_cast<std::int64_t>(mean_ns * std::exp(sigma * normal - sigma * sigma / 2))};
  }

  void next_arrival() {
    arrival_ = arrival_ + exponential(1e9 / scenario_.rate);
    if (arrival_ > Instant{} + scenario_.lasts) return;
    std::uint32_t id = 0;
    if (free_.empty()) {
      id = static_cast<std::uint32_t>(requests_.size());
      requests_.emplace_back();
    } else {
      id = free_.back();
      free_.pop_back();
    }
    const std::uint32_t service = requests_[id].service;
    requests_[id] = {.due = arrival_,
                     .work = draw_work(),
                     .worker = static_cast<std::uint32_t>(arrivals_.below(scenario_.workers)),
                     .try_began = {},
                     .service = service};
    at(arrival_, Event::Kind::arrival, id);
  }

  void try_somewhere(std::uint32_t id) {
    Request& request = requests_[id];
    if (request.tries == tries_max) return settle(id, false);
    const SimulatedView view(servers_, std::span(request.tried.data(), request.tries), now_, policy_.slow_start);
    const auto picked = policy_.pick(view, now_, request.worker);
    if (!picked) return settle(id, false);
    SimulatedServer& server = servers_[*picked];
    request.tried[request.tries++] = static_cast<std::uint32_t>(*picked);
    request.try_began = now_;
    request.active_at_start = ++server.active;
    if (counts(request)) ++server.picks;
    at(now_ + hop, Event::Kind::received, id);
  }

  void receive(std::uint32_t id) {
    SimulatedServer& server = at_server(id);
    const ServerModel& model = server.model;
    requests_[id].refused = model.restarts && model.away > Duration{0} && now_ >= *model.restarts && now_ < *model.restarts + model.away;
    if (requests_[id].refused) return at(now_ + hop, Event::Kind::failed, id);
    if (model.fails_fast) return at(now_ + hop + 1ms, Event::Kind::failed, id);
    if (server.in_service.size() < model.slots) return begin_service(server, id);
    server.queue.push_back(id);
  }

  void begin_service(SimulatedServer& server, std::uint32_t id) {
    server.in_service.push_back(id);
    at(end_of_work(server.model, requests_[id].work), Event::Kind::served, id, requests_[id].service);
  }

  Instant end_of_work(const ServerModel& model, Duration work) const {
    double speed = model.speed;
    if (model.restarts && now_ >= *model.restarts && model.warm_up > Duration{0}) {
      const double warm = static_cast<double>((now_ - *model.restarts - model.away).count()) / static_cast<double>(model.warm_up.count());
      speed *=
          model.cold_speed + (1 - model.cold_speed) * (model.jumps ? std::floor(std::clamp(warm, 0.0, 1.0)) : std::clamp(warm, 0.0, 1.0));
    }
    Duration left{model.added + Duration{static_cast<std::int64_t>(static_cast<double>(work.count()) / speed)}};
    if (model.stall_every == Duration{0}) return now_ + left;
    // It stalls at the end of each period.
    Instant end = now_;
    for (;;) {
      const Duration into{end.ns % model.stall_every.count()};
      const Duration until_stall = model.stall_every - model.stall_lasts - into;
      if (left <= until_stall) return end + left;
      left -= std::max(until_stall, Duration{0});
      end = end + (model.stall_every - into);
    }
  }

  void end_service(std::uint32_t id, std::uint32_t service) {
    if (service != requests_[id].service) return;
    ++requests_[id].service;
    SimulatedServer& server = at_server(id);
    std::erase(server.in_service, id);
    at(now_ + hop, server.model.fails > 0 && arrivals_.chance(server.model.fails) ? Event::Kind::failed : Event::Kind::answered, id);
    if (server.queue.empty()) return;
    const std::uint32_t next = server.queue.front();
    server.queue.pop_front();
    begin_service(server, next);
  }

  void cut_all(SimulatedServer& server) {
    server.in_service.insert(server.in_service.end(), server.queue.begin(), server.queue.end());
    for (const std::uint32_t id : server.in_service) {
      ++requests_[id].service;
      requests_[id].refused = true;
      at(now_ + hop, Event::Kind::failed, id);
    }
    server.in_service.clear();
    server.queue.clear();
  }

  void hear_answer(std::uint32_t id) {
    SimulatedServer& server = at_server(id);
    const Request& request = requests_[id];
    --server.active;
    server.estimate.on_answer(now_ - request.try_began, request.active_at_start, now_);
    server.failures_in_row = 0;
    if (now_ >= server.ejected_until && std::exchange(server.on_probation, false)) server.back_since = now_;
    settle(id, true);
  }

  void hear_failure(std::uint32_t id) {
    SimulatedServer& server = at_server(id);
    --server.active;
    server.estimate.on_failure(now_);
    ++server.failures_in_row;
    if (scenario_.ejection && now_ >= server.ejected_until) eject(server);
    if (requests_[id].refused) return try_somewhere(id);
    settle(id, false);
  }

  void eject(SimulatedServer& server) {
    if (server.failures_in_row < failures_to_eject && !server.on_probation) return;
    server.failures_in_row = 0;
    if (server.model.restarts) {  // a health check sees when it answers again
      server.ejected_until = *server.model.restarts + server.model.away + scenario_.check_delay;
      server.back_since = server.ejected_until;
      return;
    }
    server.ejected_until = now_ + first_ejection * (1U << std::min(server.ejections++, 6U));
    server.on_probation = true;
  }

  void settle(std::uint32_t id, bool good) {
    const Request& request = requests_[id];
    if (counts(request)) {
      ++outcome_.requests;
      const Duration latency = now_ - request.due;
      if (good) {
        outcome_.latencies_ms.push_back(static_cast<float>(static_cast<double>(latency.count()) * 1e-6));
        outcome_.excess_ms.push_back(static_cast<float>(static_cast<double>((latency - request.work).count()) * 1e-6));
      } else {
        ++outcome_.errors;
      }
    }
    free_.push_back(id);
  }

  bool counts(const Request& request) const { return request.due >= Instant{} + scenario_.begins; }
  SimulatedServer& at_server(std::uint32_t id) { return servers_[requests_[id].tried[requests_[id].tries - 1]]; }

  const Scenario& scenario_;
  Policy& policy_;
  Prng arrivals_;
  Instant now_;
  Instant arrival_;
  std::vector<SimulatedServer> servers_;
  std::vector<Request> requests_;
  std::vector<std::uint32_t> free_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::uint64_t order_ = 0;
  Outcome outcome_;
};

}  // namespace steelyard::balance::simulated
