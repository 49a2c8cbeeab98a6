// Keeps the servers known that are configured by name: looks each name up, again when its answer has expired, and tells what has
// changed. On the control thread's loop, which it never blocks but for reading two small files. Owned by app/; it does not know
// pools.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "base/prng.hpp"
#include "net/epoll_loop.hpp"
#include "runtime/timer_wheel.hpp"
#include "upstream/dns_channel.hpp"
#include "upstream/name_lookup.hpp"
#include "upstream/name_schedule.hpp"
#include "upstream/resolve_options.hpp"

namespace steelyard {

// Told whenever there is something new about a name, never from within watch(). It may make and destroy watches, also its own, but
// not destroy the resolver.
using NameSink = std::function<void(const NameReport& report)>;

class Resolver;

// One name that is kept known, until this is destroyed.
class NameWatch final : private Timer {
 public:
  NameWatch(Resolver& resolver, WatchedName name, NameSink sink);
  ~NameWatch();
  NameWatch(const NameWatch&) = delete;
  NameWatch& operator=(const NameWatch&) = delete;

  [[nodiscard]] const WatchedName& name() const { return name_; }
  // As it was last told; without servers where no lookup has succeeded yet.
  [[nodiscard]] const NameReport& report() const { return schedule_.report(); }

 private:
  void on_expired() override;
  void take(LookupOutcome outcome);

  Resolver& resolver_;
  const WatchedName name_;
  NameSink sink_;
  NameSchedule schedule_;
  NameLookup lookup_;
};

class Resolver {
 public:
  // `loop` outlives it, and it outlives its watches. `seed` is for the jitter.
  Resolver(EpollLoop& loop, ResolveOptions options, std::uint64_t seed);
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // The first lookup begins with the loop's next turns. Nobody has to wait for it: a name that was never found has no servers.
  [[nodiscard]] std::unique_ptr<NameWatch> watch(WatchedName name, NameSink sink);

 private:
  friend class NameWatch;

  EpollLoop& loop_;
  const ResolveOptions options_;
  Prng prng_;
  DnsChannel channel_;
  std::size_t watches_ = 0;
};

}  // namespace steelyard
