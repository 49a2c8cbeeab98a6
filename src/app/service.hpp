// The running proxy: everything that `steelyard serve` starts from a checked configuration, changes when there is a new one, and ends
// again in order. The control thread is the one that calls run(): it answers signals, watches the servers and applies changes; the
// workers carry traffic. How one such process takes the place of another is in service_upgrade.cpp.
#pragma once

#include <atomic>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/admin_server.hpp"
#include "app/control.hpp"
#include "app/directory.hpp"
#include "app/inherited.hpp"
#include "app/limit_stores.hpp"
#include "app/listeners.hpp"
#include "app/notify.hpp"
#include "app/predecessor.hpp"
#include "app/process_state.hpp"
#include "app/route_keys.hpp"
#include "app/upgrade.hpp"
#include "app/watchdog.hpp"
#include "app/worker.hpp"
#include "config/load.hpp"
#include "config/options.hpp"
#include "net/epoll_loop.hpp"
#include "observe/access_log.hpp"
#include "observe/metrics.hpp"
#include "upstream/pool_set.hpp"

namespace steelyard {

class Service final : private PacketRegistrar {
 public:
  using Problems = std::vector<config::Problem>;
  // The configuration as it is now, or this text as one, checked; or all that is wrong with it.
  using Load = std::function<std::expected<Options, Problems>(std::optional<std::string_view> text)>;

  // How the process was started, and what it found then. Without an invocation it cannot be upgraded.
  struct Start {
    Invocation invocation;
    Inherited inherited;
  };

  // Meets the process whose place this one takes, if any, opens the log and binds the listeners; the sentence says what failed and what to
  // do. `load` is asked again for each reload.
  static std::expected<std::unique_ptr<Service>, std::string> open(Options options, Load load, Start start = {});
  ~Service();

  // Runs until SIGTERM or SIGINT has drained it. A second signal ends it at once. Returns the exit code.
  int run();

  // Before run(), for who lives beside it on the control thread: what is done once when clients are served, and what is done once before
  // they are not any more, which goes on with what it is given.
  EpollLoop& control_loop() { return control_; }
  void when_ready(std::function<void()> work) { when_ready_ = std::move(work); }
  void before_drain(std::function<void(std::function<void()> go_on)> work) { before_drain_ = std::move(work); }

  // From any thread.
  struct View {
    Options options;
    std::shared_ptr<const Site> site;
    std::vector<SocketAddress> addresses;  // that it listens on, with the ports that port 0 became
  };
  [[nodiscard]] std::shared_ptr<const View> view() const;
  [[nodiscard]] std::uint32_t worker_count() const { return worker_count_; }
  [[nodiscard]] MetricsSnapshot metrics() const;
  [[nodiscard]] bool draining() const { return draining_.load(std::memory_order_relaxed); }
  // What the status page of that path said last, once another process has taken over and counts on from there.
  [[nodiscard]] std::optional<Site::Page> last_page(std::string_view path) const;

  // On the control thread, for Control.
  [[nodiscard]] std::expected<Options, Problems> load(std::optional<std::string_view> text) const { return load_(text); }
  // Loads the configuration again and goes by it from now on, once names that nobody knows are looked up; nothing is changed when it has a
  // problem.
  std::expected<void, Problems> reload();
  // Starts the binary again, which takes this process's place as soon as it is ready, whereupon this one lets go of its clients gently and
  // ends. Until then, and if that fails, nothing changes here. It returns when the new process has begun.
  std::expected<void, std::string> upgrade();
  // "none", "under_way", or why the last one failed.
  [[nodiscard]] std::string upgrade_state() const {
    return upgrade_.under_way() ? "under_way" : upgrade_.failure().empty() ? "none" : upgrade_.failure();
  }
  // There was a problem with one.
  void refuse_reload(const Problems& problems);
  void publish(std::string_view type, admin::Json data) { admin_.events().publish(type, std::move(data)); }
  [[nodiscard]] std::uint64_t last_event_id() { return admin_.events().last_id(); }
  // What is under way on all workers, or on those that answer soon.
  [[nodiscard]] std::vector<ExchangeView> exchanges() const;
  [[nodiscard]] Moment moment();
  // Whether a connection to that address would end here, at a listener or at the admin API.
  [[nodiscard]] bool listens_on(const SocketAddress& address) const;

 private:
  class Signals;

  Service(Options options, Load load, Start start, std::unique_ptr<Predecessor> predecessor);
  using PacketTokens = std::map<std::string, admin::TokenDigest, std::less<>>;  // of pools whose servers show one, by name
  // A configuration of which nothing can fail any more.
  struct Prepared {
    Options options;
    Listeners::Change listeners;
    AdminServer::Prepared admin;
    PacketTokens packet_tokens;
    std::vector<Keys> route_keys;
    std::vector<Site::Store> stores;
  };

  std::expected<void, std::string> open_log();
  std::expected<Prepared, std::string> prepare(Options options);
  static std::expected<PacketTokens, std::string> packet_tokens(const Options& options);
  void apply(Prepared& prepared);  // all but the admin API, which is to come last
  [[nodiscard]] std::vector<WantedPool> wanted_pools() const;
  // `earlier`: what the process knew whose place this one takes; nullptr: it is the first.
  void begin(Prepared prepared, const ProcessState* earlier = nullptr);
  void begin_to_accept();
  void cut(const std::shared_ptr<Server>& server);
  void on_servers_changed(const std::set<std::string>& pools);
  void announce(PacketAnnouncement announcement, std::function<void(std::string refusal)> done) override;
  [[nodiscard]] std::expected<Applied, Refusal> admit(const PacketAnnouncement& announcement);
  void on_expired(const Registry::Expired& expired);
  [[nodiscard]] bool is_gone(std::string_view pool, std::string_view id) const;
  void on_state(const Pool& pool, const Server& server);
  void on_signal(int number);
  void on_hangup();
  void drain();
  void on_drained();
  void end();

  // As the one that comes.
  void take_over();
  void begin_as(const ProcessState& earlier);
  void restore(const ProcessState& earlier);
  void continue_from(const ProcessState& earlier);
  void continue_limits(const ProcessState& earlier);
  // As the one that goes.
  [[nodiscard]] ProcessState state() const;
  [[nodiscard]] std::string describe_for_successor(std::optional<int> file) const;
  void hand_over();
  void end_if_handed_over();

  EpollLoop control_;
  const std::uint32_t worker_count_;
  const Options begun_with_;
  Load load_;
  const Notify notify_ = Notify::from_environment();
  std::unique_ptr<Predecessor> predecessor_;  // nullptr: this is the first process
  const std::string session_secret_;          // where a pool has none
  const std::uint64_t seed_;
  std::unique_ptr<AccessLog> log_;
  std::unique_ptr<Metrics> metrics_;
  std::unique_ptr<ConnectionLimits> limits_;
  mutable std::mutex view_mutex_;
  std::shared_ptr<const View> view_;
  std::map<std::string, Site::Page, std::less<>> last_pages_;
  EpollConnector connector_{control_};
  PoolSet pools_;
  Directory directory_;
  Control admin_control_{*this, directory_, pools_};
  AdminServer admin_{control_, admin_control_};
  Listeners listeners_;
  PacketTokens packet_tokens_;
  quota::LimitBook limit_book_;
  LimitStores limit_stores_;
  std::function<void()> when_ready_;
  std::function<void(std::function<void()>)> before_drain_;
  const std::shared_ptr<UsedTokens> used_tokens_ = std::make_shared<UsedTokens>();
  std::optional<Prepared> first_;  // until it has begun
  std::vector<std::unique_ptr<Worker>> workers_;
  std::unique_ptr<Signals> signals_;
  Upgrade upgrade_;
  Watchdog watchdog_;
  std::atomic<bool> draining_{false};
  std::atomic<std::size_t> workers_left_{0};
  std::atomic<std::size_t> workers_accepting_{0};
  bool admin_ended_ = false;
  std::atomic<std::uint64_t> reloads_{0};
  std::atomic<std::uint64_t> reloads_refused_{0};
  int exit_code_ = 0;
};

}  // namespace steelyard
