// One client connection and its protocol state, whatever the protocol is, and what the sessions of one worker share. A Frontend makes
// sessions and ends them.
#pragma once

#include <memory>

#include "base/intrusive_list.hpp"
#include "net/stream.hpp"
#include "observe/metrics.hpp"
#include "runtime/block_pool.hpp"
#include "session/exchange.hpp"
#include "session/options.hpp"
#include "session/packet_exchange.hpp"
#include "session/scratch.hpp"

namespace steelyard {

// How long an idle connection waits for a last request in a gentle drain. Who reuses connections at all has most likely done so by then
// and was told to let go of it, in an answer. A request that is sent just when its connection closes is lost, and the longer nothing
// came, the less likely is one; common servers keep idle connections for five seconds altogether, so clients have to cope with that.
inline constexpr Duration gentle_idle = 5s;

// What a session receives at once, at most.
inline constexpr std::size_t read_bytes_max = 64UZ * 1024;

class Session;

// What the sessions of one worker share.
class SessionHost {
 public:
  SessionHost(Scheduler& scheduler, Scratch& scratch, WorkerMetrics& metrics, ExchangeHandler& handler)
      : scheduler(scheduler), scratch(scratch), metrics(metrics), handler(handler) {}

  // Destroys the session, which has ended.
  virtual void on_session_ended(Session& session) = 0;

  Scheduler& scheduler;
  Scratch& scratch;
  WorkerMetrics& metrics;
  ExchangeHandler& handler;
  PacketHandler* packets = nullptr;  // there, where a listener's protocol is packet
  HttpOptions http;
  TimeoutOptions timeouts;
  bool draining = false;  // sessions that begin now answer what is under way, then close
  bool gentle = false;    // while draining: whoever has not been told that its connection ends may send one more request
  // The parsed head of whichever exchange parsed last.
  http::RequestHead head;
  const void* head_owner = nullptr;

 protected:
  ~SessionHost() = default;
};

enum class Admission : bool { admitted, over_limit };

class Session : public ListLink, public PoolAllocated {
 public:
  Session(const SocketAddress& client, Admission admission) : client_(client), admission_(admission) {}
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  virtual ~Session() = default;

  virtual void start() = 0;
  // Ends it now, whatever it does.
  virtual void abort() = 0;
  // Ends it as soon as nothing is under way.
  virtual void drain() = 0;
  // Ends it after one exchange, for which it waits a little.
  virtual void serve_one() = 0;
  // Ends it without losing a request that may be on its way.
  virtual void drain_gently() = 0;
  // What is under way; nullptr: nothing of this kind.
  [[nodiscard]] virtual Exchange* exchange() const { return nullptr; }
  [[nodiscard]] virtual PacketExchange* packet() const { return nullptr; }

  [[nodiscard]] const SocketAddress& client() const { return client_; }
  [[nodiscard]] std::uint64_t requests() const { return requests_; }
  [[nodiscard]] Admission admission() const { return admission_; }

  std::uint32_t listener = 0;  // that it came by, as the Frontend numbers them

 protected:
  const SocketAddress client_;
  const Admission admission_;
  std::uint64_t requests_ = 0;
};

}  // namespace steelyard
