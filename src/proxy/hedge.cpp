#include "proxy/hedge.hpp"

#include "session/stream_writer.hpp"

namespace steelyard {

Task<void> Hedge::run(Instant connect_deadline) {
  Fiber& fiber = co_await this_fiber();
  begun_ = fiber.scheduler().now();
  connection_ = connections_.take_idle(server());
  if (!connection_) {
    fiber.set_deadline(connect_deadline);
    auto connection = co_await connections_.connect(server());
    if (!connection) {
      connected_ = std::unexpected(connection.error());
      co_return;
    }
    connection_ = std::move(*connection);
  }
  // Another object may stand for that server now, and promise something else.
  if (server().removed()) {
    connection_.reset();
    connected_ = fail(ErrorKind::outdated);
    co_return;
  }
  fiber.clear_deadline();  // the first try's deadlines are this one's, too
  StreamWriter to_server(connection_->stream(), Side::server);
  const auto sent = to_server.send(request_);
  // A request that does not fit into a connection's buffer at once is not worth a second copy.
  if (!sent || !to_server.empty()) co_return;
  const WaitResult waited = co_await connection_->stream().readable();
  answered_ = waited == WaitResult::done && !connection_->stream().peer_ended() && !connection_->stream().broken();
  if (answered_) first_.interrupt();
}

}  // namespace steelyard
