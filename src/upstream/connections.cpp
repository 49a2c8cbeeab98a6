#include "upstream/connections.hpp"

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

ServerConnection::ServerConnection(Connections& home, std::shared_ptr<Server> server, std::unique_ptr<Stream> stream)
    : home_(home), server_(std::move(server)), stream_(std::move(stream)) {
  stream_->observe(this);
  home_.metrics_.server_connections.add();
}

ServerConnection::~ServerConnection() {
  if (idle_) home_.remove_idle(*this);
  home_.metrics_.server_connections.subtract();
}

void ServerConnection::on_unawaited_event(Stream& /*stream*/) {
  if (!idle_) return;
  if (message_enabled(LogLevel::debug)) log_message(LogLevel::debug, "server {}: closed a kept connection", server_->id);
  delete this;  // the pool's ownership ends here: it holds idle connections by their links alone
}

Connections::Connections(Connector& connector, WorkerMetrics& metrics, std::uint32_t worker)
    : connector_(connector), metrics_(metrics), worker_(worker) {}

Connections::~Connections() { close_idle(); }

ServerConnectionPtr Connections::take_idle(Server& server) {
  ServerShard& shard = server.shard(worker_);
  ServerConnection* const newest = shard.idle.front();
  if (newest == nullptr) return nullptr;
  remove_idle(*newest);
  newest->reused_ = true;
  metrics_.server_connections_reused.add();
  shard.metrics.connections_reused.add();
  return ServerConnectionPtr(newest);
}

Task<Result<ServerConnectionPtr>> Connections::connect(Server& server) {
  auto stream = connector_.connect(server.address);
  Error failure{ErrorKind::timed_out, Side::server, Retry::any};
  if (stream) {
    auto connection = std::make_unique<ServerConnection>(*this, server.shared_from_this(), std::move(*stream));
    const WaitResult waited = co_await connection->stream().writable();
    const auto result = waited == WaitResult::done ? connection->stream().connect_result() : fail(error_of(waited));
    if (result) {
      if (message_enabled(LogLevel::debug)) log_message(LogLevel::debug, "server {}: connected", server.id);
      metrics_.server_connections_opened.add();
      metrics_of(server).connections_opened.add();
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
  Server& server = connection->server();
  ServerShard& shard = server.shard(worker_);
  // Ended or broken, or it has said something that nobody asked for: not to be trusted with another request.
  if (server.removed() || !is_silent(connection->stream())) return;
  if (shard.idle_count >= options.idle_connections_max) return;
  ServerConnection& kept = *connection.release();
  Scheduler& scheduler = connector_.scheduler();
  kept.idle_ = true;
  kept.idle_until_ = scheduler.now() + options.idle_timeout;
  shard.idle.push_front(kept);
  if (++shard.idle_count == 1) with_idle_.push_back(shard);
  shard.metrics.connections_idle.add();
  metrics_.server_connections_idle.add();
  if (!armed()) scheduler.timers().arm(*this, scheduler.now() + sweep_interval);
}

void Connections::remove_idle(ServerConnection& connection) {
  ServerShard& shard = connection.server().shard(worker_);
  connection.ListLink::unlink();
  connection.idle_ = false;
  if (--shard.idle_count == 0) shard.ListLink::unlink();
  shard.metrics.connections_idle.subtract();
  metrics_.server_connections_idle.subtract();
}

// A connection that is deleted may have been the last to keep its server, and the shard with it.
void Connections::close_idle() {
  while (ServerShard* const shard = with_idle_.front()) delete shard->idle.back();
}

void Connections::on_expired() {
  Scheduler& scheduler = connector_.scheduler();
  IntrusiveList<ServerShard> looked_at;
  while (ServerShard* const shard = with_idle_.front()) {
    ServerConnection* const oldest = shard->idle.back();
    if (oldest->server().removed() || oldest->idle_until_ <= scheduler.now()) {
      delete oldest;
      continue;
    }
    shard->ListLink::unlink();
    looked_at.push_back(*shard);
  }
  with_idle_.take_all(looked_at);
  if (!with_idle_.empty()) scheduler.timers().arm(*this, scheduler.now() + sweep_interval);
}

}  // namespace steelyard
