// One client connection that speaks HTTP/1: waits for requests, one after the other, and has each of them served. Between
// requests it holds no buffer and no frame but its own, which is what an idle connection costs. Lives on one worker, owned by
// its SessionHost.
#pragma once

#include <memory>

#include "base/intrusive_list.hpp"
#include "net/stream.hpp"
#include "observe/metrics.hpp"
#include "runtime/buffer.hpp"
#include "runtime/fiber.hpp"
#include "runtime/task.hpp"
#include "session/exchange.hpp"
#include "session/options.hpp"
#include "session/scratch.hpp"

namespace steelyard {

class Http1Server;

// What the sessions of one worker share.
class SessionHost {
 public:
  SessionHost(Scheduler& scheduler, Scratch& scratch, WorkerMetrics& metrics, ExchangeHandler& handler)
      : scheduler(scheduler), scratch(scratch), metrics(metrics), handler(handler) {}

  // Destroys the session, which has ended.
  virtual void on_session_ended(Http1Server& session) = 0;

  Scheduler& scheduler;
  Scratch& scratch;
  WorkerMetrics& metrics;
  ExchangeHandler& handler;
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
enum class StatusPages : bool { off, on };

class Http1Server final : public ListLink, public PoolAllocated, private Fiber::Owner, private StreamObserver {
 public:
  // A connection over the limit is told so (503) instead of being served.
  Http1Server(SessionHost& host, std::unique_ptr<Stream> stream, const SocketAddress& client, Admission admission, StatusPages pages);
  ~Http1Server();

  void start();
  // Ends the session now, whatever it does.
  void abort();
  // Ends it as soon as nothing is under way.
  void drain();
  // Ends it after one exchange, for which it waits a little.
  void serve_one() { draining_ = true; }
  // Ends it with the next response whose head can still say so. Where no request comes, after a few seconds.
  void drain_gently();
  [[nodiscard]] const SocketAddress& client() const { return client_; }
  [[nodiscard]] std::uint64_t requests() const { return requests_; }
  [[nodiscard]] Admission admission() const { return admission_; }
  // The one under way; nullptr: none.
  [[nodiscard]] Exchange* exchange() const { return exchange_; }

  std::uint32_t listener = 0;  // that it came by, as the Frontend numbers them

 private:
  class Http1Exchange;
  enum class Head : std::uint8_t { complete, nothing, ended, failed };
  enum class Next : std::uint8_t { request, linger, close, reset };

  Task<void> run();
  Task<Next> serve_next();
  Task<Head> receive_head(std::size_t& head_bytes, std::optional<http::ParseError>& refusal);
  Task<void> linger();
  [[nodiscard]] Duration patience() const;
  Result<std::size_t> receive();
  void on_finished(Fiber& fiber) override;
  void on_unawaited_event(Stream& stream) override;

  SessionHost& host_;
  std::unique_ptr<Stream> stream_;
  Fiber fiber_;
  Buffer received_;  // from the head of the request under way, or of the next one
  SocketAddress client_;
  Admission admission_;
  StatusPages pages_;
  bool idle_ = true;
  bool draining_;
  Exchange* exchange_ = nullptr;
  std::uint64_t requests_ = 0;
};

}  // namespace steelyard
