#include "upstream/resolver.hpp"

#include <utility>

#include "base/assert.hpp"

namespace steelyard {

NameWatch::NameWatch(Resolver& resolver, WatchedName name, NameSink sink)
    : resolver_(resolver),
      name_(std::move(name)),
      sink_(std::move(sink)),
      schedule_(resolver.options_),
      lookup_(resolver.channel_, resolver.options_, name_) {
  ++resolver_.watches_;
  resolver_.loop_.scheduler().timers().arm(*this, schedule_.next());
}

NameWatch::~NameWatch() { --resolver_.watches_; }

void NameWatch::on_expired() {
  lookup_.run([this](LookupOutcome outcome) { take(std::move(outcome)); });
}

void NameWatch::take(LookupOutcome outcome) {
  Scheduler& scheduler = resolver_.loop_.scheduler();
  const bool is_news = schedule_.take(std::move(outcome), scheduler.now(), resolver_.prng_);
  scheduler.timers().arm(*this, schedule_.next());
  if (!is_news) return;
  // Copies, because the sink may destroy this.
  const NameSink sink = sink_;
  const NameReport report = schedule_.report();
  sink(report);
}

Resolver::Resolver(EpollLoop& loop, ResolveOptions options, std::uint64_t seed)
    : loop_(loop), options_(std::move(options)), prng_(seed), channel_(loop, options_) {}

Resolver::~Resolver() { SY_ASSERT(watches_ == 0); }

std::unique_ptr<NameWatch> Resolver::watch(WatchedName name, NameSink sink) {
  return std::make_unique<NameWatch>(*this, std::move(name), std::move(sink));
}

}  // namespace steelyard
