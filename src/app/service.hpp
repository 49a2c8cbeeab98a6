// The running proxy: everything that `steelyard serve` starts from a checked configuration, changes when there is a new one, and ends
// again in order. The control thread is the one that calls run(): it answers signals, watches the servers and applies changes; the
// workers carry traffic.
#pragma once

#include <atomic>
#include <expected>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "app/listeners.hpp"
#include "app/worker.hpp"
#include "config/options.hpp"
#include "net/epoll_loop.hpp"
#include "observe/access_log.hpp"
#include "observe/metrics.hpp"
#include "upstream/pool_set.hpp"

namespace steelyard {

class Service {
 public:
  // The configuration as it is now, checked; or what is wrong with it, a line for each problem.
  using Load = std::function<std::expected<Options, std::string>()>;

  // Opens the log, resolves the servers and binds the listeners; the sentence says what failed and what to do. `load` is asked again for
  // each reload.
  static std::expected<std::unique_ptr<Service>, std::string> open(Options options, Load load);
  ~Service();

  // Runs until SIGTERM or SIGINT has drained it. A second signal ends it at once. Returns the exit code.
  int run();
  // Loads the configuration again and goes by it from now on; nothing is changed when it has a problem. On the control thread.
  std::expected<void, std::string> reload();

  // For status pages, from any thread.
  struct View {
    Options options;
    std::shared_ptr<const Site> site;
    std::vector<SocketAddress> addresses;  // that it listens on, with the ports that port 0 became
  };
  [[nodiscard]] std::shared_ptr<const View> view() const;
  [[nodiscard]] std::uint32_t worker_count() const { return worker_count_; }
  [[nodiscard]] MetricsSnapshot metrics() const;
  [[nodiscard]] bool draining() const { return draining_.load(std::memory_order_relaxed); }

 private:
  class Signals;

  Service(Options options, Load load);
  std::expected<void, std::string> open_log();
  std::expected<void, std::string> apply(Options options);
  [[nodiscard]] std::expected<std::vector<WantedPool>, std::string> find_servers(const Options& options) const;
  void build_workers();
  void cut(const std::shared_ptr<Server>& server);
  void on_signal(int number);
  void drain();

  const std::uint32_t worker_count_;
  const Options begun_with_;
  Load load_;
  const std::string session_secret_;  // where a pool has none
  const std::uint64_t seed_;
  std::unique_ptr<AccessLog> log_;
  std::unique_ptr<Metrics> metrics_;
  std::unique_ptr<ConnectionLimits> limits_;
  mutable std::mutex view_mutex_;
  std::shared_ptr<const View> view_;
  EpollLoop control_;
  EpollConnector connector_{control_};
  PoolSet pools_;
  Listeners listeners_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::unique_ptr<Signals> signals_;
  std::atomic<bool> draining_{false};
  std::atomic<std::size_t> workers_left_{0};
  std::atomic<std::uint64_t> reloads_{0};
  std::atomic<std::uint64_t> reloads_refused_{0};
  int exit_code_ = 0;
};

}  // namespace steelyard
