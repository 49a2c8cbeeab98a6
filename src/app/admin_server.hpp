// The admin API as it listens: its socket, its own limits, its tokens. On the control thread, owned by the service.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "admin/api.hpp"
#include "admin/event_log.hpp"
#include "admin/token_files.hpp"
#include "app/inherited.hpp"
#include "net/epoll_net.hpp"
#include "session/frontend.hpp"

namespace steelyard {

class AdminServer {
 public:
  AdminServer(EpollLoop& loop, admin::Control& control);

  // What is to be done for a configuration, where nothing has failed.
  struct Prepared {
    std::optional<AdminOptions> options;
    std::optional<admin::LoadedAccess> access;
    int descriptor = -1;  // of a new socket
  };
  // Reads the tokens and binds; changes nothing. The sentence says what failed and what to do.
  std::expected<Prepared, std::string> prepare(const std::optional<AdminOptions>& options, const std::vector<PoolOptions>& pools) const;
  static void discard(Prepared& prepared);
  void adopt(Prepared prepared);

  // Takes the socket that was an earlier process's, if it is among these, out of them.
  void inherit(std::vector<InheritedSocket>& sockets);
  // Its own, for another process.
  [[nodiscard]] std::vector<InheritedSocket> sockets() const;

  admin::EventLog& events() { return events_; }
  // Where it listens, for people; "": nowhere.
  [[nodiscard]] const std::string& where() const { return where_; }
  // Ends all streams and sessions in order, or after two seconds; `done` is called when nothing is left.
  void stop(std::function<void()> done);
  // The same, now, for a process that has another one take its place, to which who waits to be accepted is left.
  void hand_over(std::function<void()> done);

 private:
  EpollLoop& loop_;
  Scratch scratch_;
  WorkerMetrics metrics_;  // not among those of the workers: operators are no clients
  admin::EventLog events_;
  admin::Api api_;
  ConnectionLimits limits_{admin::connection_options};
  Frontend frontend_;
  std::optional<AdminOptions> options_;
  std::uint32_t listener_ = 0;
  int descriptor_ = -1;                       // of the listener, which owns it
  std::optional<InheritedSocket> inherited_;  // until a configuration is adopted
  std::string where_;
};

}  // namespace steelyard
