// One client connection that speaks packets: JSON objects one after the other, each answered before the next is looked at. Between two
// packets it holds no buffer. Lives on one worker, owned by its SessionHost.
#pragma once

#include <memory>

#include "runtime/buffer.hpp"
#include "runtime/fiber.hpp"
#include "runtime/task.hpp"
#include "session/session.hpp"
#include "wire/json/scanner.hpp"

namespace steelyard {

class PacketServer final : public Session, private Fiber::Owner, private StreamObserver {
 public:
  // A connection over the limit is refused instead of being served.
  PacketServer(SessionHost& host, std::unique_ptr<Stream> stream, const SocketAddress& client, Admission admission,
               std::uint32_t bytes_max);
  ~PacketServer() override;

  void start() override;
  void abort() override;
  void drain() override;
  void serve_one() override { draining_ = true; }
  // Nothing can tell a client of packets that its connection ends: it ends when no packet has come for some seconds, and after half of
  // timeouts.drain behind the next packet, so that none has to be cut.
  void drain_gently() override;
  [[nodiscard]] PacketExchange* packet() const override { return exchange_; }

 private:
  enum class Next : std::uint8_t { packet, linger, close, reset };
  // What was received, as far as it is a packet.
  struct Received {
    enum class End : std::uint8_t { complete, refused, nothing, ended, failed };
    End end = End::complete;
    std::size_t bytes = 0;
    PacketRefusal why{};
  };

  Task<void> run();
  Task<Next> serve_next();
  Task<Received> receive_packet(json::ObjectScanner& scanner);
  [[nodiscard]] Duration patience() const;
  [[nodiscard]] bool takes_another() const;
  Result<std::size_t> receive();
  void drop_blanks();
  void on_finished(Fiber& fiber) override;
  void on_unawaited_event(Stream& stream) override;

  SessionHost& host_;
  std::unique_ptr<Stream> stream_;
  Fiber fiber_;
  Buffer received_;  // from the packet under way, or the next one
  const std::uint32_t bytes_max_;
  std::uint64_t blanks_ = 0;  // since the last packet
  bool idle_ = true;
  bool draining_;
  Instant wait_until_ = never;  // for the next packet
  Instant gentle_until_;        // in a gentle drain
  PacketExchange* exchange_ = nullptr;
};

}  // namespace steelyard
