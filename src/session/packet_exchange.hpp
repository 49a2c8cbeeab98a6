// One packet of a client and what becomes of it, as the proxy works on it. A PacketServer makes it when a packet is complete (or was
// refused), hands it to the PacketHandler, and goes on when that is done with it.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "net/address.hpp"
#include "runtime/fiber.hpp"
#include "runtime/task.hpp"
#include "session/stream_writer.hpp"
#include "wire/packet/message.hpp"

namespace steelyard {

struct PacketRefusal {
  std::uint16_t status = 400;  // that an HTTP request would be answered with, for records and counters
  const char* reason = "";     // a static sentence
};

struct PacketExchange {
  PacketExchange(Fiber& owner, Stream& stream, const SocketAddress& from, std::uint32_t came_by, const bool& draining_flag)
      : client(from),
        listener(came_by),
        fiber(owner),
        start(owner.scheduler().now()),
        answer(stream, Side::client),
        draining(draining_flag) {}
  PacketExchange(const PacketExchange&) = delete;
  PacketExchange& operator=(const PacketExchange&) = delete;

  const SocketAddress client;
  const std::uint32_t listener;  // that it came by, as the Frontend numbers them
  Fiber& fiber;
  const Instant start;

  // Why the session itself refuses it. Then there is no message, and the connection ends.
  std::optional<PacketRefusal> refusal;
  // The texts live as long as the exchange.
  std::string_view object;  // as it came
  packet::Message message;

  // The way to the client.
  StreamWriter answer;
  const bool& draining;     // the session ends after this exchange
  bool keep_open = true;    // whether more packets are taken on this connection
  bool broken_off = false;  // the answer could not be completed: the client must be able to tell
  void* context = nullptr;  // what the handler has of it, for the handler
};

class PacketHandler {
 public:
  // Answers the packet and records it.
  virtual Task<void> serve(PacketExchange& exchange) = 0;

 protected:
  ~PacketHandler() = default;
};

}  // namespace steelyard
