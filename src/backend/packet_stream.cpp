#include "backend/packet_stream.hpp"

#include <fmt/format.h>

#include <cstring>
#include <utility>

namespace steelyard::backend {
namespace {

constexpr std::size_t piece_bytes = 16 * 1024;

}  // namespace

Task<Result<void>> PacketStream::send(std::string_view text) {
  while (!text.empty()) {
    const auto sent = stream_->write(text);
    if (!sent && sent.error().kind != ErrorKind::would_block) co_return std::unexpected(sent.error());
    text.remove_prefix(sent.value_or(0));
    if (sent) continue;
    const WaitResult room = co_await stream_->writable();
    if (room != WaitResult::done) co_return fail(error_of(room));
  }
  co_return Result<void>{};
}

Task<std::expected<json::Object, PacketEnd>> PacketStream::receive() {
  using Kind = PacketEnd::Kind;
  received_.erase(0, std::exchange(taken_, 0));
  scanner_.reset();
  for (;;) {
    const auto scanned = scanner_.feed(received_);
    if (!scanned) {
      co_return std::unexpected(PacketEnd{Kind::refused, fmt::format("{} (byte {})", scanned.error().reason, scanned.error().offset)});
    }
    taken_ = *scanned;
    if (taken_ != 0) co_return scanner_.object(received_);
    if (received_.size() >= packet_bytes_max) {
      co_return std::unexpected(PacketEnd{Kind::refused, fmt::format("The packet is longer than {} bytes.", packet_bytes_max)});
    }
    char memory[piece_bytes];
    const auto got = stream_->read(memory);
    if (!got && got.error().kind == ErrorKind::would_block) {
      const WaitResult arrived = co_await stream_->readable();
      if (arrived != WaitResult::done) co_return std::unexpected(PacketEnd{Kind::failed, describe({error_of(arrived)})});
      continue;
    }
    if (!got && got.error().kind == ErrorKind::reset) co_return std::unexpected(PacketEnd{Kind::closed, "the connection was reset"});
    if (!got) co_return std::unexpected(PacketEnd{Kind::failed, describe(got.error())});
    if (*got == 0) co_return std::unexpected(at_end());
    received_.append(memory, *got);
  }
}

PacketEnd PacketStream::at_end() const {
  if (scanner_.blank()) return {PacketEnd::Kind::closed, "the connection was closed"};
  return {PacketEnd::Kind::cut_short, "the connection was closed within a packet"};
}

Task<Result<std::unique_ptr<Stream>>> open_stream(EpollConnector& connector, const SocketAddress& to) {
  auto stream = connector.connect(to);
  if (!stream) co_return std::unexpected(stream.error());
  const WaitResult opened = co_await (*stream)->writable();
  if (opened != WaitResult::done) co_return fail(error_of(opened));
  const auto connected = (*stream)->connect_result();
  if (!connected) co_return std::unexpected(connected.error());
  co_return std::move(*stream);
}

std::string describe(const Error& error) {
  if (error.os_code != 0) return std::strerror(error.os_code);
  switch (error.kind) {
    case ErrorKind::timed_out: return "nothing came in time";
    case ErrorKind::cancelled: return "the program was told to end";
    case ErrorKind::reset: return "the connection was reset";
    case ErrorKind::refused: return "nothing listens there";
    default: return "the connection broke";
  }
}

}  // namespace steelyard::backend
