// One client connection that speaks HTTP/1: waits for requests, one after the other, and has each of them served. Between
// requests it holds no buffer and no frame but its own, which is what an idle connection costs. Lives on one worker, owned by
// its SessionHost.
#pragma once

#include <memory>

#include "runtime/buffer.hpp"
#include "runtime/fiber.hpp"
#include "runtime/task.hpp"
#include "session/session.hpp"

namespace steelyard {

class Http1Server final : public Session, private Fiber::Owner, private StreamObserver {
 public:
  // A connection over the limit is told so (503) instead of being served.
  Http1Server(SessionHost& host, std::unique_ptr<Stream> stream, const SocketAddress& client, Admission admission, StatusPages pages);
  ~Http1Server();

  void start() override;
  void abort() override;
  void drain() override;
  void serve_one() override { draining_ = true; }
  // With the next response whose head can still say so. Where no request comes, after a few seconds.
  void drain_gently() override;
  [[nodiscard]] Exchange* exchange() const override { return exchange_; }

 private:
  class Http1Exchange;
  enum class Head : std::uint8_t { complete, nothing, ended, failed };
  enum class Next : std::uint8_t { request, linger, close, reset };

  Task<void> run();
  Task<Next> serve_next();
  Task<Head> receive_head(std::size_t& head_bytes, std::optional<http::ParseError>& refusal);
  [[nodiscard]] Duration patience() const;
  Result<std::size_t> receive();
  void on_finished(Fiber& fiber) override;
  void on_unawaited_event(Stream& stream) override;

  SessionHost& host_;
  std::unique_ptr<Stream> stream_;
  Fiber fiber_;
  Buffer received_;  // from the head of the request under way, or of the next one
  StatusPages pages_;
  bool idle_ = true;
  bool draining_;
  Exchange* exchange_ = nullptr;
};

}  // namespace steelyard
