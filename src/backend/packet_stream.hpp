// A connection on which packets come and go, one JSON object after the other. It knows where they end, not what they say. Owned by
// whoever opened or accepted it, used in one fiber, whose deadline and cancelling end every wait.
#pragma once

#include <expected>
#include <memory>
#include <string>
#include <string_view>

#include "net/epoll_net.hpp"
#include "net/stream.hpp"
#include "runtime/task.hpp"
#include "wire/json/scanner.hpp"

namespace steelyard::backend {

// Of what the other side said, in a message.
inline constexpr std::size_t shown_bytes_max = 300;

// Why there is no further packet.
struct PacketEnd {
  enum class Kind {
    closed,     // by the other side, between packets or by a reset
    cut_short,  // by the other side, within one
    refused,    // what came is no JSON object
    failed,     // the connection broke, or waiting ended
  };
  Kind kind = Kind::closed;
  std::string sentence{};  // for people; of `closed` too
};

class PacketStream {
 public:
  static constexpr std::size_t packet_bytes_max = 1024 * 1024;

  explicit PacketStream(std::unique_ptr<Stream> stream) : stream_(std::move(stream)) {}

  // Sends all of it, in one call of the system where there is room.
  Task<Result<void>> send(std::string_view text);
  // The next object. It lives until the next call.
  Task<std::expected<json::Object, PacketEnd>> receive();
  // Nothing more is sent; receiving goes on.
  void end_sending() { stream_->shutdown_write(); }

 private:
  [[nodiscard]] PacketEnd at_end() const;

  std::unique_ptr<Stream> stream_;
  std::string received_;
  std::size_t taken_ = 0;  // bytes of received_ that belong to the packet returned last
  json::ObjectScanner scanner_;
};

// Connects, or says what the system said.
Task<Result<std::unique_ptr<Stream>>> open_stream(EpollConnector& connector, const SocketAddress& to);
// In words.
[[nodiscard]] std::string describe(const Error& error);

}  // namespace steelyard::backend
