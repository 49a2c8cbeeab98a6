// One thread of the data path: its loop, its listeners, its connections to servers, its proxy. Everything in it is touched by
// its own thread only, except what is said to be readable by others.
#pragma once

#include <atomic>
#include <functional>
#include <span>
#include <thread>

#include "net/epoll_loop.hpp"
#include "net/epoll_net.hpp"
#include "observe/access_log.hpp"
#include "observe/metrics.hpp"
#include "proxy/http_proxy.hpp"
#include "proxy/site.hpp"
#include "session/connection_limits.hpp"
#include "session/frontend.hpp"
#include "upstream/connections.hpp"

namespace steelyard {

struct ListeningSocket {
  int descriptor = -1;
  StatusPages pages = StatusPages::off;
};

class Worker {
 public:
  Worker(const Site& site, std::size_t servers, WorkerMetrics& metrics, AccessChannel& log, ConnectionLimits& limits, Duration spin,
         std::uint64_t seed);
  ~Worker();

  // Takes the sockets over and starts the thread.
  void start(std::span<const ListeningSocket> sockets);
  // Ends in order; `done` is called on the worker's thread when nothing is left.
  void drain(std::function<void()> done);
  void abort();
  // Waits for the thread, which ends after drain().
  void join();

  // From any thread.
  [[nodiscard]] const ServerMetrics& metrics_of(const Server& server) { return connections_.metrics_of(server); }

 private:
  EpollLoop loop_;
  EpollConnector connector_;
  Scratch scratch_;
  Connections connections_;
  HttpProxy proxy_;
  Frontend frontend_;
  std::thread thread_;
};

}  // namespace steelyard
