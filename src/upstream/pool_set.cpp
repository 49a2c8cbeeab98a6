#include "upstream/pool_set.hpp"

#include <algorithm>
#include <unordered_map>
#include <utility>

namespace steelyard {
namespace {

constexpr Duration tend_interval = 100ms;

}  // namespace

struct PoolSet::Watch {
  Watch(Scheduler& scheduler, std::shared_ptr<Pool> of) : pool(std::move(of)), detector(scheduler, *pool) {}

  std::shared_ptr<Pool> pool;
  OutlierDetector detector;
  HealthOptions checks;  // those of the prober
  std::unique_ptr<Prober> prober;
  std::vector<std::unique_ptr<Prober>> ending;         // told to stop
  std::unordered_map<const Server*, unsigned> states;  // as they were told last
  bool wanted = true;
  bool over = false;  // nothing is left of it

  void end_prober() {
    if (!prober) return;
    prober->stop();
    ending.push_back(std::move(prober));
  }
  void stop() {
    end_prober();
    detector.stop();
  }
  [[nodiscard]] bool running() const {
    return detector.running() || std::ranges::any_of(ending, [](const auto& each) { return each->running(); });
  }
};

PoolSet::PoolSet(Connector& connector, std::uint32_t workers, std::uint64_t seed, Listener listener)
    : connector_(connector), workers_(workers), prng_(seed), listener_(std::move(listener)), fiber_(connector.scheduler(), *this) {}

PoolSet::~PoolSet() { SY_ASSERT(!running()); }

void PoolSet::configure(std::vector<WantedPool> wanted) {
  std::vector<std::shared_ptr<Pool>> pools;
  for (const auto& watch : watches_) watch->wanted = false;
  for (WantedPool& each : wanted) {
    Watch& watch = watch_of(each.options.name);
    watch.wanted = true;
    watch.pool->configure(std::move(each.options), each.servers, moment());
    pools.push_back(watch.pool);
    if (watching_) follow(watch);
  }
  pools_ = std::move(pools);
  for (const auto& watch : watches_) {
    if (watch->wanted || watch->pool->servers().empty()) continue;
    watch->pool->configure(*watch->pool->options(), {}, moment());
    watch->end_prober();
  }
}

void PoolSet::configure_servers(std::string_view pool, std::span<const PoolServer> servers) {
  for (const auto& watch : watches_) {
    if (!watch->wanted || watch->pool->name() != pool) continue;
    watch->pool->configure(*watch->pool->options(), servers, moment());
    if (watching_) follow(*watch);
  }
}

PoolSet::Watch& PoolSet::watch_of(const std::string& name) {
  for (const auto& watch : watches_) {
    if (!watch->over && watch->pool->name() == name) return *watch;
  }
  return *watches_.emplace_back(std::make_unique<Watch>(connector_.scheduler(), std::make_shared<Pool>(name, workers_)));
}

std::shared_ptr<Pool> PoolSet::find(std::string_view name) const {
  const auto found = std::ranges::find_if(pools_, [&](const auto& pool) { return pool->name() == name; });
  return found == pools_.end() ? nullptr : *found;
}

void PoolSet::start() {
  watching_ = true;
  for (const auto& watch : watches_) follow(*watch);
  fiber_.start(tend());
}

void PoolSet::stop() {
  watching_ = false;
  fiber_.cancel(Cause::shutdown);
  for (const auto& watch : watches_) watch->stop();
}

bool PoolSet::running() const {
  return fiber_.running() || std::ranges::any_of(watches_, [](const auto& watch) { return watch->running(); });
}

// Checks go on under the same rules; new rules begin anew, with what is known of each server.
void PoolSet::follow(Watch& watch) {
  if (!watch.detector.running()) watch.detector.start();
  const auto options = watch.pool->options();
  if (watch.prober && (!options->health || *options->health != watch.checks)) watch.end_prober();
  if (!options->health) return;
  if (watch.prober) return watch.prober->follow();
  watch.checks = *options->health;
  watch.prober = std::make_unique<Prober>(
      connector_, *watch.pool, prng_.next(),
      [this, pool = watch.pool.get()](Server& server, const CheckReport& report) { pool->on_check(server, report, moment()); });
  watch.prober->start();
}

void PoolSet::tell_states(Watch& watch) const {
  std::unordered_map<const Server*, unsigned> states;
  for (const auto& server : watch.pool->servers()) {
    const unsigned holds = server->load.holds.load(std::memory_order_relaxed);
    const unsigned state = holds | (static_cast<unsigned>(server->health()) << 8U);
    const auto before = watch.states.find(server.get());
    if (before == watch.states.end() ? holds != 0 : before->second != state) listener_.on_state(*watch.pool, *server);
    states.emplace(server.get(), state);
  }
  watch.states = std::move(states);
}

Task<void> PoolSet::tend() {
  while (fiber_.cause() == Cause::none) {
    fiber_.set_deadline(connector_.scheduler().now() + tend_interval);
    co_await until_deadline();
    for (const auto& watch : watches_) {
      for (const auto& server : watch->pool->take_overdue(connector_.scheduler().now())) listener_.cut(server);
      tell_states(*watch);
      std::erase_if(watch->ending, [](const auto& prober) { return !prober->running(); });
      if (watch->wanted || watch->over || !watch->pool->leaving().empty()) continue;
      watch->over = true;
      watch->stop();
    }
    std::erase_if(watches_, [](const auto& watch) { return watch->over && !watch->running(); });
  }
}

Moment PoolSet::moment() const {
  const Scheduler& scheduler = connector_.scheduler();
  return {scheduler.now(), scheduler.unix_us() / 1'000'000};
}

}  // namespace steelyard
