// A worker's side towards clients: accepts connections, runs a session for each, and ends them all in order when it is told to
// drain. Lives on one worker, or on the simulator; knows nothing of what answers the requests.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/intrusive_list.hpp"
#include "net/stream.hpp"
#include "session/connection_limits.hpp"
#include "session/session.hpp"

namespace steelyard {

class Frontend final : public SessionHost {
 public:
  Frontend(Scheduler& scheduler, Scratch& scratch, WorkerMetrics& metrics, ExchangeHandler& handler, ConnectionLimits& limits);
  ~Frontend();

  // Accepts from `listener` from now on. `id` is the caller's name for it.
  void listen(std::unique_ptr<Listener> listener, const ListenerRole& role, std::uint32_t id = 0);
  // Serves what waits to be accepted by that listener and closes it; its sessions end when nothing is under way there.
  void stop_listening(std::uint32_t id);
  // What it is to sessions that begin from now on.
  void set_role(std::uint32_t id, const ListenerRole& role);
  // Calls `visit` with each exchange under way, an Exchange& or a PacketExchange&. It must not end one.
  template <typename Visit>
  void visit_exchanges(const Visit& visit) {
    sessions_.for_each([&](Session& session) {
      if (session.exchange() != nullptr) visit(*session.exchange());
      if (session.packet() != nullptr) visit(*session.packet());
    });
  }
  // Serves what waits to be accepted, closes the listeners and the idle connections; `done` is called, once, when the last
  // session has ended. With timeouts.drain passed, the rest is cut.
  void drain(std::function<void()> done);
  // The same without closing a connection on which a request may be on its way: each of them is told that it ends by a response, or was
  // idle for some seconds. `accepted_all` is called, once, when nothing is accepted any more. Until it is done, drain() may follow.
  void drain_gently(std::function<void()> accepted_all, std::function<void()> done);
  // Listeners that stop from now on leave what waits to be accepted to another process that has their sockets, too.
  void leave_waiting() { takes_waiting_ = false; }
  // Cuts what is left, now.
  void abort();

 private:
  class Acceptor;
  class DrainTimer final : public Timer {
   public:
    explicit DrainTimer(Frontend& frontend) : frontend_(frontend) {}
    void on_expired() override;

   private:
    Frontend& frontend_;
  };

  void begin_drain(std::function<void()> done);
  void begin_session(Accepted accepted, const Acceptor& acceptor);
  Session* make_session(Accepted accepted, Admission admission, const ListenerRole& role);
  void on_stopped(Acceptor& acceptor);
  // Drains those that `chosen` says; draining may end a session at once.
  template <typename Chosen>
  void drain_sessions(const Chosen& chosen);
  void on_session_ended(Session& session) override;
  void finish_if_drained();

  ConnectionLimits& limits_;
  std::vector<std::unique_ptr<Acceptor>> acceptors_;
  IntrusiveList<Session> sessions_;
  std::uint32_t session_count_ = 0;
  std::uint32_t refused_count_ = 0;  // sessions that only say 503
  bool takes_waiting_ = true;
  DrainTimer drain_timer_{*this};
  std::function<void()> accepted_all_;
  std::function<void()> drained_;
};

}  // namespace steelyard
