#include "upstream/connections.hpp"

#include <span>
#include <utility>

#include "observe/message.hpp"

namespace steelyard {
namespace {

constexpr Duration sweep_interval = 1s;

// Nothing follows the last response. A body of known length is read to its last byte and not beyond, so that only another read
// can tell.
bool is_silent(Stream& stream) {
  if (stream.peer_ended() || stream.broken()) return false;
  return !stream.is_readable() || stream.quiet();
}

}  // namespace

ServerConnection::ServerConnection(Connections& home, Server& server, std::unique_ptr<Stream> stream)
    : home_(home), server_(server), stream_(std::move(stream)) {
  stream_->observe(this);
  home_.metrics_.server_connections.add();
}

ServerConnection::~ServerConnection() {
  if (idle_) home_.remove_idle(*this);
  home_.metrics_.server_connections.subtract();
}

void ServerConnection::on_unawaited_event(Stream& /*stream*/) {
  if (!idle_) return;
  if (message_enabled(LogLevel::debug)) log_message(LogLevel::debug, "server {}: closed a kept connection", server_.id);
  delete this;  // the pool's ownership ends here: it holds idle connections by their links alone
}

Connections::Connections(Connector& connector, WorkerMetrics& metrics, std::size_t servers)
    : connector_(connector), metrics_(metrics), slot_count_(servers), slots_(std::make_unique<Slot[]>(servers)) {}

Connections::~Connections() { close_idle(); }

ServerConnectionPtr Connections::take_idle(Server& server) {
  Slot& place = slot(server);
  ServerConnection* const newest = place.idle.front();
  if (newest == nullptr) return nullptr;
  remove_idle(*newest);
  newest->reused_ = true;
  metrics_.server_connections_reused.add();
  place.metrics.connections_reused.add();
  return ServerConnectionPtr(newest);
}

Task<Result<ServerConnectionPtr>> Connections::connect(Server& server) {
  auto stream = connector_.connect(server.address);
  Error failure{ErrorKind::timed_out, Side::server, Retry::any};
  if (stream) {
    auto connection = std::make_unique<ServerConnection>(*this, server, std::move(*stream));
    const WaitResult waited = co_await connection->stream().writable();
    const auto result = waited == WaitResult::done ? connection->stream().connect_result() : fail(error_of(waited));
    if (result) {
      if (message_enabled(LogLevel::debug)) log_message(LogLevel::debug, "server {}: connected", server.id);
      metrics_.server_connections_opened.add();
      slot(server).metrics.connections_opened.add();
      co_return connection;
    }
    failure = result.error();
  } else {
    failure = stream.error();
  }
  metrics_.server_connections_failed.add();
  failure.side = failure.kind == ErrorKind::cancelled ? Side::client : Side::server;
  failure.retry = failure.kind == ErrorKind::cancelled ? Retry::never : Retry::any;
  co_return std::unexpected(failure);
}

void Connections::keep(ServerConnectionPtr connection, const KeepaliveOptions& options) {
  Slot& place = slot(connection->server());
  // Ended or broken, or it has said something that nobody asked for: not to be trusted with another request.
  if (!is_silent(connection->stream())) return;
  if (place.idle_count >= options.idle_connections_max) return;
  ServerConnection& kept = *connection.release();
  Scheduler& scheduler = connector_.scheduler();
  kept.idle_ = true;
  kept.idle_until_ = scheduler.now() + options.idle_timeout;
  place.idle.push_front(kept);
  ++place.idle_count;
  place.metrics.connections_idle.add();
  metrics_.server_connections_idle.add();
  ++idle_count_;
  if (!armed()) scheduler.timers().arm(*this, scheduler.now() + sweep_interval);
}

void Connections::remove_idle(ServerConnection& connection) {
  Slot& place = slot(connection.server_);
  connection.ListLink::unlink();
  connection.idle_ = false;
  --place.idle_count;
  --idle_count_;
  place.metrics.connections_idle.subtract();
  metrics_.server_connections_idle.subtract();
}

void Connections::close_idle() {
  for (Slot& place : std::span(slots_.get(), slot_count_)) {
    while (ServerConnection* const oldest = place.idle.back()) delete oldest;
  }
}

void Connections::on_expired() {
  Scheduler& scheduler = connector_.scheduler();
  for (Slot& place : std::span(slots_.get(), slot_count_)) {
    while (ServerConnection* const oldest = place.idle.back()) {
      if (oldest->idle_until_ > scheduler.now()) break;
      delete oldest;
    }
  }
  if (idle_count_ != 0) scheduler.timers().arm(*this, scheduler.now() + sweep_interval);
}

}  // namespace steelyard
