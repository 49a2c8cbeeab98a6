#include "session/frontend.hpp"

#include <algorithm>
#include <utility>

#include "observe/message.hpp"
#include "session/http1_server.hpp"
#include "session/packet_server.hpp"

namespace steelyard {
namespace {

constexpr int accept_batch_max = 64;
// When descriptors have run out, accepting again at once would only fail again.
constexpr Duration accept_pause = 100ms;
// Connections over a limit are told so, but telling must not become a way to hold connections.
constexpr std::uint32_t refused_max = 256;

}  // namespace

class Frontend::Acceptor final : private Fiber::Owner {
 public:
  Acceptor(Frontend& frontend, std::unique_ptr<Listener> listener, const ListenerRole& listener_role, std::uint32_t listener_id)
      : role(listener_role), id(listener_id), frontend_(frontend), listener_(std::move(listener)), fiber_(frontend.scheduler, *this) {}

  [[nodiscard]] bool stopping() const { return fiber_.cause() != Cause::none; }

  ListenerRole role;
  const std::uint32_t id;

  void start() { fiber_.start(run()); }
  void stop() { fiber_.cancel(Cause::shutdown); }

 private:
  Task<void> run() {
    int batch = 0;
    for (;;) {
      if (stopping() && !frontend_.takes_waiting_) co_return;
      auto accepted = listener_->accept();
      if (accepted) {
        frontend_.begin_session(std::move(*accepted), *this);
        if (++batch < accept_batch_max) continue;
        batch = 0;
        // Who is told to stop takes what was waiting, but not a flood.
        if (fiber_.cause() != Cause::none) co_return;
        co_await yield_turn();
        continue;
      }
      batch = 0;
      if (fiber_.cause() != Cause::none) co_return;
      if (accepted.error().kind == ErrorKind::would_block) {
        fiber_.clear_deadline();
        co_await listener_->acceptable();
      } else {
        report(accepted.error());
        fiber_.set_deadline(frontend_.scheduler.now() + accept_pause);
        co_await until_deadline();
      }
    }
  }

  void report(const Error& error) {
    if (error.kind == ErrorKind::resources) {
      frontend_.metrics.hit(Limit::file_descriptors);
      log_message_limited(LogLevel::warning, "accept",
                          "cannot accept connections: out of file descriptors or memory (error {}); raise `ulimit -n` or lower "
                          "connections.max. Trying again every 100 ms",
                          error.os_code);
    } else {
      log_message_limited(LogLevel::warning, "accept", "cannot accept a connection (error {}). Trying again in 100 ms", error.os_code);
    }
  }

  void on_finished(Fiber& /*fiber*/) override { frontend_.on_stopped(*this); }

  Frontend& frontend_;
  std::unique_ptr<Listener> listener_;
  Fiber fiber_;
};

Frontend::Frontend(Scheduler& of, Scratch& memory, WorkerMetrics& counters, ExchangeHandler& serving, ConnectionLimits& limits)
    : SessionHost(of, memory, counters, serving), limits_(limits) {}

Frontend::~Frontend() { SY_ASSERT(sessions_.empty()); }

void Frontend::listen(std::unique_ptr<Listener> listener, const ListenerRole& role, std::uint32_t id) {
  acceptors_.push_back(std::make_unique<Acceptor>(*this, std::move(listener), role, id));
  acceptors_.back()->start();
}

void Frontend::stop_listening(std::uint32_t id) {
  std::vector<Acceptor*> acceptors;  // more than one where an earlier process had more workers
  for (const auto& acceptor : acceptors_) {
    if (acceptor->id == id) acceptors.push_back(acceptor.get());
  }
  for (Acceptor* const acceptor : acceptors) acceptor->stop();
  drain_sessions([id](const Session& session) { return session.listener == id; });
}

void Frontend::set_role(std::uint32_t id, const ListenerRole& role) {
  for (const auto& acceptor : acceptors_) {
    if (acceptor->id == id) acceptor->role = role;
  }
}

void Frontend::on_stopped(Acceptor& acceptor) {
  std::erase_if(acceptors_, [&](const auto& each) { return each.get() == &acceptor; });
  finish_if_drained();
}

void Frontend::begin_session(Accepted accepted, const Acceptor& acceptor) {
  const std::optional<Limit> over = limits_.enter(accepted.peer.ip);
  if (over) {
    metrics.hit(*over);
    log_message_limited(LogLevel::warning, name(*over), "limit {} reached: refusing connections", name(*over));
    if (refused_count_ >= refused_max) {
      limits_.leave(accepted.peer.ip);
      return;
    }
    ++refused_count_;
  }
  Session* const session = make_session(std::move(accepted), over ? Admission::over_limit : Admission::admitted, acceptor.role);
  session->listener = acceptor.id;
  if (acceptor.stopping()) session->serve_one();
  sessions_.push_back(*session);
  ++session_count_;
  if (message_enabled(LogLevel::debug)) log_message(LogLevel::debug, "client {}: connected", session->client().to_string());
  session->start();
}

Session* Frontend::make_session(Accepted accepted, Admission admission, const ListenerRole& role) {
  if (role.protocol == Protocol::packet) {
    SY_ASSERT(packets != nullptr);
    return new PacketServer(*this, std::move(accepted.stream), accepted.peer, admission, role.packet_bytes_max);
  }
  return new Http1Server(*this, std::move(accepted.stream), accepted.peer, admission, role.pages);
}

void Frontend::on_session_ended(Session& session) {
  if (message_enabled(LogLevel::debug)) {
    log_message(LogLevel::debug, "client {}: disconnected after {} requests", session.client().to_string(), session.requests());
  }
  limits_.leave(session.client().ip);
  if (session.admission() == Admission::over_limit) --refused_count_;
  --session_count_;
  delete &session;
  finish_if_drained();
}

void Frontend::drain(std::function<void()> done) {
  if (draining && !gentle) return;
  gentle = false;
  if (!draining) begin_drain(std::move(done));
  drain_sessions([](const Session&) { return true; });
  finish_if_drained();
}

void Frontend::drain_gently(std::function<void()> accepted_all, std::function<void()> done) {
  if (draining) return;
  gentle = true;
  accepted_all_ = std::move(accepted_all);
  begin_drain(std::move(done));
  sessions_.for_each([](Session& session) { session.drain_gently(); });
  finish_if_drained();
}

void Frontend::begin_drain(std::function<void()> done) {
  draining = true;
  drained_ = std::move(done);
  std::vector<Acceptor*> acceptors;  // one that has stopped is gone
  for (const auto& acceptor : acceptors_) acceptors.push_back(acceptor.get());
  for (Acceptor* const acceptor : acceptors) acceptor->stop();
  scheduler.timers().arm(drain_timer_, scheduler.now() + timeouts.drain);
}

template <typename Chosen>
void Frontend::drain_sessions(const Chosen& chosen) {
  std::vector<Session*> sessions;
  sessions_.for_each([&](Session& session) {
    if (chosen(session)) sessions.push_back(&session);
  });
  for (Session* const session : sessions) session->drain();
}

void Frontend::abort() {
  IntrusiveList<Session> all;
  all.take_all(sessions_);
  while (Session* session = all.pop_front()) {
    sessions_.push_back(*session);
    session->abort();
  }
}

void Frontend::DrainTimer::on_expired() {
  log_message(LogLevel::warning, "{} connections still busy after timeouts.drain: cutting them", frontend_.session_count_);
  frontend_.metrics.hit(Limit::drain_timeout);
  frontend_.abort();
}

void Frontend::finish_if_drained() {
  if (!draining || !acceptors_.empty()) return;
  if (accepted_all_) std::exchange(accepted_all_, nullptr)();
  if (session_count_ != 0 || !drained_) return;
  drain_timer_.disarm();
  std::exchange(drained_, nullptr)();
}

}  // namespace steelyard
