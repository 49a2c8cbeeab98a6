// One worker's connections to servers: those in use belong to an exchange, those kept open for the next one are here, newest
// first. A kept connection that its server closes, or that says anything unasked, is dropped at that moment, so taking one
// needs no check by a system call.
#pragma once

#include <memory>
#include <vector>

#include "base/error.hpp"
#include "base/intrusive_list.hpp"
#include "net/stream.hpp"
#include "observe/metrics.hpp"
#include "runtime/block_pool.hpp"
#include "runtime/task.hpp"
#include "upstream/server.hpp"

namespace steelyard {

class Connections;

class ServerConnection final : public ListLink, public PoolAllocated, private StreamObserver {
 public:
  ServerConnection(Connections& home, Server& server, std::unique_ptr<Stream> stream);
  ~ServerConnection();

  [[nodiscard]] Stream& stream() { return *stream_; }
  [[nodiscard]] Server& server() { return server_; }
  // Whether an earlier exchange went over it: then its server may have closed it just now, which is nobody's fault.
  [[nodiscard]] bool reused() const { return reused_; }

 private:
  friend class Connections;
  void on_unawaited_event(Stream& stream) override;

  Connections& home_;
  Server& server_;
  std::unique_ptr<Stream> stream_;
  Instant idle_until_;
  bool idle_ = false;
  bool reused_ = false;
};

using ServerConnectionPtr = std::unique_ptr<ServerConnection>;

class Connections final : private Timer {
 public:
  // `servers`: how many there are in all pools; Server::slot is below that.
  Connections(Connector& connector, WorkerMetrics& metrics, std::size_t servers);
  ~Connections();

  // A kept connection, or nullptr.
  ServerConnectionPtr take_idle(Server& server);
  // A new one. Fails with Retry::any, since nothing was sent. The fiber's deadline bounds it.
  Task<Result<ServerConnectionPtr>> connect(Server& server);
  // Keeps the connection for later; its last exchange must be complete on both sides.
  void keep(ServerConnectionPtr connection, const KeepaliveOptions& options);

  // Readable from any thread.
  [[nodiscard]] ServerMetrics& metrics_of(const Server& server) { return slot(server).metrics; }
  void close_idle();

 private:
  friend class ServerConnection;
  struct Slot {
    IntrusiveList<ServerConnection> idle;  // newest first; of one pool, so that the oldest is the first to expire
    std::uint32_t idle_count = 0;
    ServerMetrics metrics;
  };

  Slot& slot(const Server& server) { return slots_[server.slot]; }
  void remove_idle(ServerConnection& connection);
  void on_expired() override;  // closes what was kept long enough

  Connector& connector_;
  WorkerMetrics& metrics_;
  const std::size_t slot_count_;
  std::unique_ptr<Slot[]> slots_;
  std::size_t idle_count_ = 0;  // of all slots
};

}  // namespace steelyard
