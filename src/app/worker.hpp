// One thread of the data path: its loop, its listeners, its connections to servers, its proxy. Everything in it is touched by
// its own thread only; what others ask of it is done there, soon.
#pragma once

#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "net/epoll_loop.hpp"
#include "net/epoll_net.hpp"
#include "observe/access_log.hpp"
#include "observe/metrics.hpp"
#include "proxy/http_proxy.hpp"
#include "proxy/packet_proxy.hpp"
#include "proxy/site_view.hpp"
#include "session/connection_limits.hpp"
#include "session/frontend.hpp"
#include "upstream/connections.hpp"

namespace steelyard {

struct ListeningSocket {
  int descriptor = -1;
  std::uint32_t listener = 0;  // its number
  ListenerRole role;
};

class Worker {
 public:
  // `index`: its place among the workers.
  Worker(std::uint32_t index, std::shared_ptr<const Site> site, WorkerMetrics& metrics, AccessChannel& log, ConnectionLimits& limits,
         PacketRegistrar& registrar, Duration spin, std::uint64_t seed);
  ~Worker();

  void start();
  // Takes the socket over.
  void listen(const ListeningSocket& socket);
  void stop_listening(std::uint32_t listener);
  void set_role(std::uint32_t listener, const ListenerRole& role);
  // What begins from now on goes by `site`.
  void use(std::shared_ptr<const Site> site);
  // When all that it was told before is done; on the worker's thread.
  void then(std::function<void()> work);
  // Ends what is under way at a server.
  void cut(std::shared_ptr<const Server> server);
  // What is under way, at most so many; `done` is called on the worker's thread.
  void list_exchanges(std::size_t most, std::function<void(std::vector<ExchangeView>)> done);
  // Calls it on the worker's thread, soon: a worker that does not hangs.
  void ask(std::function<void()> answer) { loop_.post(std::move(answer)); }
  // Accepts no more and lets go of its clients gently (Frontend::drain_gently); both are called on the worker's thread.
  void drain_gently(std::function<void()> accepted_all, std::function<void()> done);
  // Ends in order; `done` is called on the worker's thread when nothing is left.
  void drain(std::function<void()> done);
  void abort();
  // Waits for the thread, which ends after drain().
  void join();

 private:
  void end_loop();

  EpollLoop loop_;
  EpollConnector connector_;
  Scratch scratch_;
  Connections connections_;
  SiteViews views_;
  HttpProxy proxy_;
  PacketProxy packet_proxy_;
  Frontend frontend_;
  std::thread thread_;
};

}  // namespace steelyard
