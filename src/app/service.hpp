// The running proxy: everything that `steelyard serve` starts from a checked configuration, and ends again in order. The
// control thread is the one that calls run(): it answers signals and checks the servers' health; the workers carry traffic.
#pragma once

#include <atomic>
#include <expected>
#include <memory>
#include <string>
#include <vector>

#include "app/worker.hpp"
#include "config/options.hpp"
#include "net/epoll_loop.hpp"
#include "observe/access_log.hpp"
#include "observe/metrics.hpp"
#include "upstream/outlier_detector.hpp"
#include "upstream/prober.hpp"

namespace steelyard {

class Service {
 public:
  // Opens the log, resolves the servers and binds the listeners; the sentence says what failed and what to do.
  static std::expected<std::unique_ptr<Service>, std::string> open(Options options);
  ~Service();

  // Runs until SIGTERM or SIGINT has drained it. A second signal ends it at once. Returns the exit code.
  int run();
  // The addresses that it listens on, with the ports that port 0 became.
  [[nodiscard]] const std::vector<SocketAddress>& addresses() const { return addresses_; }

  // For status pages, from any thread.
  [[nodiscard]] const Options& options() const { return options_; }
  [[nodiscard]] const Site& site() const { return *site_; }
  [[nodiscard]] const std::vector<std::unique_ptr<Worker>>& workers() const { return workers_; }
  [[nodiscard]] MetricsSnapshot metrics() const;
  [[nodiscard]] bool draining() const { return draining_.load(std::memory_order_relaxed); }

 private:
  class Signals;

  explicit Service(Options options);
  std::expected<void, std::string> open_log();
  std::expected<void, std::string> build_site();
  std::expected<void, std::string> bind_listeners();
  void build_workers();
  void start_watching();
  [[nodiscard]] ServerTotals totals_of(const Server& server) const;
  void on_signal(int number);

  Options options_;
  std::unique_ptr<AccessLog> log_;
  std::unique_ptr<Metrics> metrics_;
  std::unique_ptr<ConnectionLimits> limits_;
  std::unique_ptr<Site> site_;
  std::size_t server_count_ = 0;
  std::vector<SocketAddress> addresses_;
  std::vector<std::vector<ListeningSocket>> sockets_;  // of each worker
  std::vector<std::unique_ptr<Worker>> workers_;
  EpollLoop control_;
  EpollConnector connector_{control_};
  std::vector<std::unique_ptr<Prober>> probers_;
  std::vector<std::unique_ptr<OutlierDetector>> detectors_;
  std::unique_ptr<Signals> signals_;
  std::atomic<bool> draining_{false};
  std::atomic<std::size_t> workers_left_{0};
  int exit_code_ = 0;
};

}  // namespace steelyard
