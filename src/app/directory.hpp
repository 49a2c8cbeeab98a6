// Which servers each pool is to have, with their addresses: the registry's word, names looked up, leases that run out, and the file in
// which changes outlive restarts. It tells when that has changed by itself. On the control thread, owned by the service.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "net/epoll_loop.hpp"
#include "runtime/task.hpp"
#include "upstream/pool_set.hpp"
#include "upstream/registry.hpp"
#include "upstream/resolver.hpp"
#include "upstream/state_file.hpp"
#include "upstream/state_text.hpp"

namespace steelyard {

class Directory final : private Fiber::Owner {
 public:
  struct Listener {
    // These pools are to have other servers than before.
    std::function<void(const std::set<std::string>& pools)> on_change;
    // A lease has run out: the server goes, or is kept because too many did at once.
    std::function<void(const Registry::Expired& expired)> on_expired;
    // Whether a server whose lease has run out does not answer either.
    Registry::Gone is_gone;
  };

  Directory(EpollLoop& loop, ResolveOptions resolve, std::uint64_t seed, Listener listener);

  // Looks up the names that these pools need and that are not known yet. `then` is called when each of them has been found or not, or
  // after a few seconds; at once where there is nothing to wait for. A later call takes the place of one that waits.
  void prepare(std::span<const PoolOptions> pools, std::function<void()> then);
  // The configuration's pools from now on. Says what that means for changes that were made at run time.
  void configure(std::vector<PoolOptions> pools);
  // Once, after the first configure(): what was saved there counts, and changes are saved there from now on. "": nowhere.
  void keep_in(const std::string& path);

  // What was changed at run time, as text for another process that goes on with it; there: before the first configure(), instead of what is
  // saved. named_in() is who of it has a name that prepare() may look up before.
  [[nodiscard]] std::string handed_over() const { return spell_state(registry_.state(moment())); }
  void take_over(std::string_view handed_over);
  [[nodiscard]] static PoolOptions named_in(std::string_view handed_over);

  void start() { fiber_.start(run()); }
  // Saves for the last time.
  void stop();

  [[nodiscard]] std::vector<WantedPool> pools() const;
  [[nodiscard]] std::vector<PoolServer> servers(std::string_view pool) const;
  // Why a name could not be looked up; empty: it could, or it is none.
  [[nodiscard]] std::string problem_with(const ServerOptions& server) const;

  // Its changes are told with on_change when changed() has been called: at once, or with all that are made in this turn of the loop.
  enum class When : std::uint8_t { now, soon };
  Registry& registry() { return registry_; }
  [[nodiscard]] const Registry& registry() const { return registry_; }
  void changed(std::string_view pool, When when);

 private:
  struct Name {
    std::unique_ptr<NameWatch> watch;
    std::string problem;  // as they were told
    std::string warning;
  };
  struct Waiting {
    std::set<std::string> names;
    Instant until;
    std::function<void()> then;
  };

  void watch(const ServerOptions& server);
  void watch_names();
  void on_report(const std::string& key, const NameReport& report);
  void go_on_if_known();
  void tell_changes();
  void expire_leases();
  void save();
  Task<void> run();
  [[nodiscard]] Moment moment() const;
  void on_finished(Fiber& /*fiber*/) override {}

  EpollLoop& loop_;
  Scheduler& scheduler_;
  Listener listener_;
  Registry registry_;
  std::vector<PoolOptions> pools_;
  const NameFamily family_;
  Resolver resolver_;
  std::map<std::string, Name, std::less<>> names_;  // by "host:port"
  std::optional<Waiting> waiting_;
  std::set<std::string> changed_;            // pools, to be told of
  std::optional<RegistryState> taken_over_;  // until the registry has it
  bool has_taken_over_ = false;
  std::optional<StateFile> file_;
  std::uint64_t saved_revision_ = 0;
  bool cannot_save_ = false;
  Fiber fiber_;
};

}  // namespace steelyard
