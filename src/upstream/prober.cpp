#include "upstream/prober.hpp"

#include <algorithm>
#include <utility>

#include "observe/message.hpp"

namespace steelyard {
namespace {

// Between the first checks of two servers, where that many fit into an interval: a small pool is known practically at once, and a
// large one does not burst. Where traffic waits for them they come faster.
constexpr Duration first_gap = 5ms;
constexpr Duration first_gap_before_traffic = 500us;
// Checks become due at multiples of this, or of a hundredth of a shorter interval, so that those of a large pool share wake-ups.
constexpr Duration grid_max = 10ms;

}  // namespace

Prober::Prober(Connector& connector, Pool& pool, std::uint64_t seed, CheckSink sink)
    : connector_(connector), pool_(pool), options_(pool.options()->health.value_or(HealthOptions{})), prng_(seed), sink_(std::move(sink)) {}

Prober::~Prober() { SY_ASSERT(running_ == 0); }

void Prober::follow() {
  const auto servers = pool_.servers();
  auto before = std::exchange(probes_, {});
  std::vector<Probe*> added;
  for (const auto& server : servers) {
    std::unique_ptr<Probe>& probe = probes_[server.get()];
    if (const auto known = before.find(server.get()); known != before.end()) {
      probe = std::move(known->second);
    } else {
      probe = std::make_unique<Probe>(*this, server);
      added.push_back(probe.get());
    }
  }
  for (auto& [server, probe] : before) {
    if (probe) ending_.push_back(std::move(probe));
  }
  stop_ending();
  const Duration fast = options_.before_traffic ? first_gap_before_traffic : first_gap;
  const Duration gap = added.empty() ? fast : std::min(fast, options_.interval / static_cast<std::int64_t>(added.size()));
  Instant first = connector_.scheduler().now();
  for (Probe* const probe : added) {
    ++running_;
    probe->start(first);
    first = first + gap;
  }
}

void Prober::stop() {
  for (auto& [server, probe] : std::exchange(probes_, {})) ending_.push_back(std::move(probe));
  stop_ending();
}

// Who has ended is gone: a stop may end it at once.
void Prober::stop_ending() {
  std::vector<Probe*> ending;
  for (const auto& probe : ending_) ending.push_back(probe.get());
  for (Probe* const probe : ending) probe->stop();
}

void Prober::on_ended(Probe& probe) {
  --running_;
  std::erase_if(ending_, [&](const std::unique_ptr<Probe>& each) { return each.get() == &probe; });
}

bool Prober::begin_or_queue(Probe& probe) {
  if (under_way_ == checks_under_way_max) {
    queue_.push_back(&probe);
    return false;
  }
  ++under_way_;
  return true;
}

// The turn goes to who has waited longest.
void Prober::end_turn() {
  if (queue_.empty()) {
    --under_way_;
    return;
  }
  Probe* const next = queue_.front();
  queue_.pop_front();
  next->take_turn();
}

// From one beginning to the next, however long the check takes.
Instant Prober::draw_due(Instant begun) {
  constexpr std::uint64_t steps = 1'000'000;
  const double either_way = 2 * static_cast<double>(prng_.below(steps + 1)) / steps - 1;
  const double factor = 1 + options_.jitter * either_way;
  Instant due = begun + Duration(static_cast<std::int64_t>(static_cast<double>(options_.interval.count()) * factor));
  // To the grid towards the interval itself, so that the jitter stays within its bounds.
  const std::int64_t grid_ns = std::clamp<Duration>(options_.interval / 100, 1ns, grid_max).count();
  const std::int64_t beyond_ns = due.ns % grid_ns;
  if (beyond_ns != 0) due.ns += factor < 1 ? grid_ns - beyond_ns : -beyond_ns;
  return due;
}

// What earlier checks have found is known.
Prober::Probe::Probe(Prober& prober, std::shared_ptr<Server> server)
    : prober_(prober),
      server_(std::move(server)),
      check_(prober.options_, *server_),
      threshold_(server_->health() == Health::unhealthy ? Threshold::State::down : Threshold::State::up),
      health_(server_->health()),
      draining_(server_->held(bit(Hold::draining))),
      fiber_(prober.connector_.scheduler(), *this) {}

Task<void> Prober::Probe::run(Instant due) {
  for (;;) {
    fiber_.set_deadline(due);
    co_await until_deadline();
    if (fiber_.cause() == Cause::none && !prober_.begin_or_queue(*this)) {
      fiber_.clear_deadline();
      co_await until_deadline();
      if (fiber_.cause() != Cause::none && std::erase(prober_.queue_, this) == 0) prober_.end_turn();
    }
    if (fiber_.cause() != Cause::none) co_return;
    due = prober_.draw_due(fiber_.scheduler().now());
    CheckVerdict verdict = co_await check_.run(prober_.connector_);
    prober_.end_turn();
    if (fiber_.cause() != Cause::none) co_return;
    judge(std::move(verdict));
  }
}

void Prober::Probe::judge(CheckVerdict verdict) {
  const HealthOptions& options = prober_.options_;
  if (message_enabled(LogLevel::debug)) {
    log_message(LogLevel::debug, "health: {}/{}: {}", prober_.pool_.name(), server_->id, verdict.reason);
  }
  if (verdict.kind == CheckVerdict::Kind::none) {
    log_message_limited(LogLevel::warning, "health", "pool {}: a health check came to nothing: {}", prober_.pool_.name(), verdict.reason);
    return;
  }
  const Health health_before = health_;
  const bool drained_before = draining_;
  const bool failed = verdict.kind == CheckVerdict::Kind::unhealthy;
  // Where traffic waits for the first check, one that fails has kept the server out already.
  const bool kept_out = options.before_traffic && health_ == Health::unknown;
  const auto change = failed ? threshold_.on_failure(kept_out ? 1 : options.fall) : threshold_.on_success(options.rise);
  if (change == Threshold::Change::down) health_ = Health::unhealthy;
  if (!failed && threshold_.is_up()) {
    health_ = Health::healthy;
    draining_ = verdict.kind == CheckVerdict::Kind::drain;
  }
  if (health_ == health_before && draining_ == drained_before) return;
  // In this order: who reads the message finds the state as it says.
  prober_.sink_(*server_, {health_, draining_, verdict.reason});
  log_change(health_before, verdict);
}

void Prober::Probe::log_change(Health health_before, const CheckVerdict& verdict) const {
  const std::string& pool = prober_.pool_.name();
  if (health_ == Health::unhealthy) {
    return log_message(LogLevel::warning, "server {}/{} is unhealthy: {}", pool, server_->id, verdict.reason);
  }
  if (health_before == Health::unhealthy) log_message(LogLevel::info, "server {}/{} is healthy again", pool, server_->id);
  if (draining_) {
    log_message(LogLevel::info, "server {}/{} asks for no new traffic: {}", pool, server_->id, verdict.reason);
  } else if (health_before == Health::healthy) {
    log_message(LogLevel::info, "server {}/{} takes new traffic again", pool, server_->id);
  }
}

}  // namespace steelyard
